# Stages of a long script: each is named, timed, logged and counted; none stops the others. Sourced by scripts/*.
#
#   stage NAME COUNTER COMMAND…   runs it; its output goes to $logs/NAME.log, and to the terminal when it fails
#   skip NAME REASON              says why it did not run
#   finish                        prints the table and `N passed, N failed`; returns 1 when anything failed
#
# COUNTER is a function that reads the log on standard input and prints "PASSED FAILED"; `one` counts the stage itself,
# `none` counts it only when it fails.

rows=()
total_passed=0
total_failed=0
began=$SECONDS

say() { printf '%s\n' "$*"; }

one() { return 1; }

none() { echo "0 0"; }

stage() {
    local name=$1 counter=$2 start=$SECONDS status counts passed failed
    shift 2
    printf '── %s: %s\n' "$name" "$(date +%T)"
    mkdir -p "$logs"
    "$@" >"$logs/$name.log" 2>&1
    status=$?
    counts=$("$counter" <"$logs/$name.log" 2>/dev/null) || counts=""
    read -r passed failed <<<"${counts:-}"
    if [[ -z ${passed:-} ]]; then passed=$((status == 0)) failed=$((status != 0)); fi
    # A runner that fails and counts no failed test (it could not build, it was killed) is a failure all the same.
    if ((status != 0 && failed == 0)); then failed=1; fi
    if ((status == 0 && failed > 0)); then status=1; fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    local took=$((SECONDS - start)) word=ok
    if ((status != 0)); then
        word=FAILED
        tail -n "${STAGE_TAIL:-80}" "$logs/$name.log" | sed 's/^/   │ /'
        say "   the whole output: $logs/$name.log"
    fi
    rows+=("$(printf '%-14s %-8s %6s s   %s' "$name" "$word" "$took" "$( ((passed + failed)) && echo "$passed passed, $failed failed")")")
    printf '   %s (%s s)\n' "$word" "$took"
    return $status
}

skip() {
    rows+=("$(printf '%-14s %-8s %6s     %s' "$1" skipped "" "$2")")
    printf '── %s: skipped: %s\n' "$1" "$2"
}

finish() {
    say ""
    say "what ran:"
    printf '  %s\n' "${rows[@]}"
    printf '  %-14s %-8s %6s s\n' total "" $((SECONDS - began))
    say "$total_passed passed, $total_failed failed"
    ((total_failed == 0))
}

# Counters.

nextest_counts() {
    # Summary [   9.812s] 561 tests run: 560 passed (2 slow), 1 failed, 3 skipped
    local line
    line=$(grep -E 'tests? run:' | tail -n 1)
    echo "$(grep -oE '[0-9]+ passed' <<<"$line" | grep -oE '[0-9]+' || echo 0)" \
        "$(($(grep -oE '[0-9]+ (failed|timed out)' <<<"$line" | grep -oE '^[0-9]+' | paste -sd+ - || echo 0) + 0))"
}

cargo_test_counts() {
    # test result: ok. 12 passed; 0 failed; 0 ignored; …   one line for each binary
    awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }'
}

node_counts() {
    # # pass 14, and so on, each on a line of its own
    awk '/^# pass/ { passed += $3 } /^# (fail|cancelled)/ { failed += $3 } END { print passed + 0, failed + 0 }'
}

pytest_counts() {
    # 3 failed, 200 passed, 1 skipped, 2 errors in 61.20s
    local line
    line=$(grep -E '(passed|failed|errors?).* in [0-9.]+s' | tail -n 1)
    awk '{ for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^(failed|error)/) f += $(i - 1) } }
        END { print p + 0, f + 0 }' <<<"${line//,/ }"
}

plain_counts() {
    # N passed, N failed
    grep -E '^[0-9]+ passed, [0-9]+ failed$' | tail -n 1 | awk '{ print $1, $3 }' | grep .
}
