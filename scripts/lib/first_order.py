"""The README's way from an empty account to the first order, as a script of bash: its lines as they are, and what each
prints held against what the README says that it prints, where `...` is whatever there is.

    first_order.py script README      prints the lines from `output` on: what comes before builds and deploys
    first_order.py said EXPECTED      reads what a line printed; ends with 1 when it is not what is expected
"""
import re, shlex, sys

HEADING = "## From an empty account to the first order"
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines(readme):
    _, section = readme.split(f"\n{HEADING}\n", 1)
    deploying, *using = FENCE.findall(section.split("\n## ", 1)[0])
    if "sam deploy" not in deploying or not using:
        sys.exit(f"the README's {HEADING!r} does not deploy first and then use what is deployed")
    return "".join(using).splitlines()


def script(readme):
    waiting, expectations = [], 0
    for line in lines(readme):
        if line.startswith("# "):
            # In braces, not in a subshell: what a line sets, the next one reads.
            yield "{\n" + "\n".join(waiting) + '\n} >"$printed"'
            yield f'said {shlex.quote(line.removeprefix("# "))} <"$printed"'
            waiting, expectations = [], expectations + 1
        else:
            waiting.append(line)
    yield "\n".join(waiting)
    if not expectations:
        sys.exit(f"the README's {HEADING!r} does not say what its lines print")
    yield f"echo '{expectations} lines print what the README says'"


def said(expected, printed):
    def plain(text):
        return re.sub(r"\s+", "", text)

    pattern = ".*".join(re.escape(plain(part)) for part in expected.split("..."))
    if not re.fullmatch(pattern, plain(printed)):
        sys.exit(f"the README says that this is printed:\n{expected}\nand this is:\n{printed}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["script", readme]:
            print("\n".join(script(open(readme, encoding="utf-8").read())))
        case ["said", expected]:
            said(expected, sys.stdin.read())
        case _:
            sys.exit(__doc__)
