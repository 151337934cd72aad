# SPDX-License-Identifier: LGPL-2.1-or-later
"""Words of commands, compared with what a shell makes of them."""

import subprocess

from drgn_veth.analysis.shell import shell_chars, shell_quote, shell_words
import pytest

WORDS = [
    *(
        "veth0",
        "a b",
        "",
        "it's",
        'a"b',
        "a'b \"c",
        "$(true) x",
        "a\\b c",
        "\\",
        "(",
        ")",
    ),
    *("\x1b[1m", "\xe9", "a\\xff b", "*", "#", ";", "$HOME", "-n"),
]


def split_by_sh(command: str) -> list[bytes]:
    argv = ["/bin/sh", "-c", f'printf "%s\\0" {command}']
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    return done.stdout.split(b"\0")[:-1]


def test_quoted_words() -> None:
    """A shell gets each word back, and its end is seen here where the shell sees it."""
    quoted = list(map(shell_quote, WORDS))
    command = " ".join(quoted)
    assert list(shell_words(command)) == quoted
    expected = [word.encode().replace(b"\\xff", b"\xff") for word in WORDS]
    assert split_by_sh(command) == expected


@pytest.mark.parametrize(
    "command",
    [
        *(r"a\ b c", r"a\\ b", r"'a\' b", r"'a\\' 'b c'", r'"a\" b" c', r'"a\\" b'),
        *('"it\'s" b', "'a\"b' c", "\"a 'b' c\" d", "'a'' b'\"c d\"", r"a\'b c"),
        *("\"$(printf -- 'a b')\" c", "\"$(printf -- 'a) b')\" c d"),
        *('"$(echo "a b")" \'c d\'', "'$(' ')' c"),
    ],
)
def test_words(command: str) -> None:
    """A shell reads each word alone as it reads it within the command."""
    words = list(shell_words(command))
    assert [one for word in words for one in split_by_sh(word)] == split_by_sh(command)
    assert len(words) == len(split_by_sh(command))


def test_where_a_backslash_is_a_backslash() -> None:
    chars = list(shell_chars("\\a '\\b' \"\\c\""))
    literal = [one.literal for one in chars if one.char == "\\"]
    assert literal == [False, True, False]
