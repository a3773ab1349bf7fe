#!/usr/bin/env bash
# Derives the list of rejected common passwords (sutazai-core/src/identity/common_passwords.txt) from the
# frequency list of the crate zxcvbn (MIT, see the notice beside the list): the 5,000 most common ones of at
# least 8 characters, sorted for binary search.
. "$(dirname "$0")/env.sh"

version=3.1.1
list=$(dirname "$0")/../sutazai-core/src/identity/common_passwords.txt

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
(
    cd "$folder"
    cargo init --quiet --lib --name derived
    cargo add --quiet "zxcvbn@=$version"
    cargo vendor --quiet vendor > /dev/null
)
python3 - "$folder/vendor/zxcvbn/src/frequency_lists.rs" > "$list" <<'PYTHON'
import re, sys

text = open(sys.argv[1], encoding="utf-8").read()
words = re.search(r'const PASSWORDS: &str = "([^"]*)"', text).group(1).split(",")
long_enough = [word for word in words if len(word) >= 8][:5000]
print("\n".join(sorted(set(long_enough), key=str.encode)))
PYTHON
wc -l "$list"
