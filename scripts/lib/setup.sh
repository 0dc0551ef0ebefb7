# What the tests need beside Rust: Debian packages, a Python environment, npm packages. Sourced by scripts/*.

# Debian packages by the command or file that each brings; only what is missing is installed.
missing_packages() {
    command -v cc >/dev/null || echo build-essential
    command -v python3 >/dev/null || echo python3
    python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
    command -v chromium >/dev/null || echo chromium
    # Limits that servers share are tested against it.
    command -v redis-server >/dev/null || echo redis-server
    # Without any font, a page's words are boxes.
    [[ -n $(find /usr/share/fonts /usr/local/share/fonts -name '*.tt[fc]' -print -quit 2>/dev/null) ]] || echo fonts-dejavu
}

install_packages() {
    local wanted sudo=()
    mapfile -t wanted < <(missing_packages)
    if ((${#wanted[@]} == 0)); then
        say "nothing is missing"
        return 0
    fi
    say "missing: ${wanted[*]}"
    if ((EUID != 0)); then
        if ! sudo -n true 2>/dev/null; then
            say "not root: install them with  sudo apt-get install ${wanted[*]}"
            return 0
        fi
        sudo=(sudo)
    fi
    command -v apt-get >/dev/null || return 0
    "${sudo[@]}" apt-get update -q && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${wanted[@]}"
}

# A Python environment for the pinned requirements of tests/; one for each version of both.
install_python() {
    local pins=$repo/tests/requirements.txt
    [[ -e $venv/.installed ]] && cmp --silent "$venv/.installed" "$pins" && return 0
    rm -rf "$venv"
    python3 -c 'import sys; sys.exit("Python 3.11 or later is needed" if sys.version_info < (3, 11) else 0)' || return 1
    python3 -m venv "$venv" || return 1
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins" || return 1
    cp "$pins" "$venv/.installed"
}

# npm packages of one folder, exactly as its lock file says.
install_npm() {
    local folder
    for folder in web tests/page; do
        [[ -e $folder/node_modules/.installed ]] && cmp --silent "$folder/node_modules/.installed" "$folder/package-lock.json" && continue
        npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error || return 1
        cp "$folder/package-lock.json" "$folder/node_modules/.installed"
    done
}

# Other people's clients, each in an environment of its own, because what they require contradicts one another. One that
# cannot be installed is a test that is skipped with a message, and no failure of the others.
install_clients() {
    local cache=$HOME/.cache/bedplate folder=$repo/tests/blackbox/clients pins name
    if [[ ! -x $cache/uv/bin/uv ]]; then
        python3 -m venv "$cache/uv" && "$cache/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv==0.13.8 || return 0
    fi
    for pins in "$folder"/requirements/*.txt; do
        name=$(basename "$pins" .txt)
        cmp --silent "$cache/clients/$name/.installed" "$pins" && continue
        rm -rf "$cache/clients/$name"
        if "$cache/uv/bin/uv" venv --quiet --python python3 "$cache/clients/$name" &&
            "$cache/uv/bin/uv" pip install --quiet --python "$cache/clients/$name/bin/python" --requirement "$pins"; then
            cp "$pins" "$cache/clients/$name/.installed"
        else
            say "$name could not be installed: its tests are skipped"
        fi
    done
    name=$cache/clients/ai
    if command -v npm >/dev/null && ! cmp --silent "$name/.installed" "$folder/ai/package-lock.json"; then
        rm -rf "$name" && mkdir -p "$name" && cp "$folder"/ai/package*.json "$name/"
        if npm ci --prefix "$name" --ignore-scripts --no-audit --no-fund --loglevel=error; then
            cp "$folder/ai/package-lock.json" "$name/.installed"
        else
            say "the package ai could not be installed: its tests are skipped"
        fi
    fi
}
