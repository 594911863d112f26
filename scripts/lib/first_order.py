"""The section "From an empty account to the first order" of docs/deploy.md, as a script of bash. It runs the lines as they
are and compares what each prints with the comment below it, where `...` stands for any text.

    first_order.py script PAGE        prints the lines from `output` on; the lines before them build and deploy
    first_order.py said EXPECTED      reads what a line printed; ends with 1 if it is not what is expected
"""
import re, shlex, sys

HEADING = "## From an empty account to the first order"
FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def lines(page):
    if f"\n{HEADING}\n" not in page:
        sys.exit(f"the page has no section {HEADING!r}")
    _, section = page.split(f"\n{HEADING}\n", 1)
    deploying, *using = FENCE.findall(section.split("\n## ", 1)[0])
    if "scripts/deploy" not in deploying or not using:
        sys.exit(f"the section {HEADING!r} does not deploy first and then use what is deployed")
    return "".join(using).splitlines()


def script(page):
    waiting, expectations = [], 0
    for line in lines(page):
        if line.startswith("# "):
            # In braces, not in a subshell: what a line sets, the next one reads.
            yield "{\n" + "\n".join(waiting) + '\n} >"$printed"'
            yield f'said {shlex.quote(line.removeprefix("# "))} <"$printed"'
            waiting, expectations = [], expectations + 1
        else:
            waiting.append(line)
    yield "\n".join(waiting)
    if not expectations:
        sys.exit(f"the section {HEADING!r} does not say what its lines print")
    yield f"echo '{expectations} lines print what docs/deploy.md says'"


def said(expected, printed):
    def plain(text):
        return re.sub(r"\s+", "", text)

    pattern = ".*".join(re.escape(plain(part)) for part in expected.split("..."))
    if not re.fullmatch(pattern, plain(printed)):
        sys.exit(f"docs/deploy.md says that this is printed:\n{expected}\nand this is:\n{printed}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["script", page]:
            print("\n".join(script(open(page, encoding="utf-8").read())))
        case ["said", expected]:
            said(expected, sys.stdin.read())
        case _:
            sys.exit(__doc__)
