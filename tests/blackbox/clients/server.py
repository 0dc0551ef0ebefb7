"""The project that the probes run against: each route does one thing, and its script checks what reached the model."""

from pathlib import Path

from probe import CITY, DONE, KNOWN, PLAIN, SEEN, bedrock

CALLS = '{ name = "calculate", input = { expression = "6 * 7" } }, { name = "calculate", input = { expression = "2 * 2" } }'
FORM = f'{{ city = "{CITY["city"]}", days = {CITY["days"]} }}'
USAGE = "usage = { input = 10, output = 3, cache_read = 4 }"
SCRIPTS = {
    "plain": f'text = "{PLAIN}"\n{USAGE}',
    "parallel": f'text = "Let me see."\nexpect_tools = ["calculate"]\ntool_use = [{CALLS}]\n[[turn.step]]\ntext = "{DONE}"',
    "thinking": 'reasoning = "They want a number."\nsignature = "c2VhbGVk"\n'
    'tool_use = [{ name = "calculate", input = { expression = "6 * 7" } }]\n'
    f'[[turn.step]]\nexpect_reasoning = "c2VhbGVk"\ntext = "{KNOWN}"',
    "picture": f'expect_image = "image/png"\ntext = "{SEEN}"',
    "schema": f'expect_output = ""\njson = {FORM}',
    # Packages that ask for a form by a tool: what they call it, and where its fields stand.
    "form-city": f'tool_use = [{{ name = "City", input = {FORM} }}]\n[[turn.step]]\ntext = "{DONE}"',
    "form-json_tool_call": f'tool_use = [{{ name = "json_tool_call", input = {FORM} }}]',
    "midway": 'text = "This breaks off in the middle of it all."\n'
    'fail = { kind = "unavailable", message = "the provider went away", midway = true }',
}


PROBES = sorted(path.stem for path in Path(__file__).parent.glob("*_*.*") if path.suffix in (".py", ".mjs"))
LIMITED = 'fail = { kind = "rate_limited", message = "slow down", retry_after_ms = 90000 }'
SCRIPTS |= {f"limited-{name}": LIMITED for name in PROBES}


def write(folder):
    """Writes the project into a folder."""
    for name in ("agents", "scripts"):
        (folder / name).mkdir(parents=True)
    (folder / "agents" / "quiet.md").write_text("---\ndescription: Quiet.\nmodel: plain\n---\nBe quiet.\n")
    tables = ['[project]\nname = "clients"\ndefault_agent = "quiet"\n']
    for name, step in SCRIPTS.items():
        (folder / "scripts" / f"{name}.toml").write_text(f"loop = true\n[[turn]]\n[[turn.step]]\n{step}\n")
        tables.append(f'[models.{name}]\nprovider = "scripted"\nmodel = "scripts/{name}.toml"\n')
        tables.append(f'[routes.{name}]\nmodel = "{name}"\n')
    tables.append('[models.city]\nprovider = "rehearsal"\n[routes.city]\nmodel = "city"\n')
    ids = [f'"{bedrock(name)}" = "{name}"' for name in [*SCRIPTS, "city"]]
    tables.append("[model_ids]\n" + "\n".join(ids) + "\n")
    (folder / "bedplate.toml").write_text("\n".join(tables))
