"""Servers that only users may enter."""

import bcrypt


def with_users(**passwords: str) -> dict:
    """What [support.meesh.serving] needs to let only these users in: a bcrypt password file, as Trino's and htpasswd's."""
    lines = []
    for user, password in passwords.items():
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(8, prefix=b"2b")).decode()
        lines.append(f"{user}:{hashed.replace('$2b$', '$2y$', 1)}\n")
    return {"yaml": "users.file: password.db\n", "files": {"password.db": "".join(lines)}}
