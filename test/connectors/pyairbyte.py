"""PyAirbyte as its users run it. Takes commands on standard input, one a line; answers each on a line of descriptor 3.

read    reads all streams into the cache, with a new source, as a new run of a user's script would
rows    the rows of all tables, each value as text
"""

import json
import os
import sys

import airbyte
import sqlalchemy
from airbyte.caches import DuckDBCache

executable, config, database = sys.argv[1:4]


def read():
    source = airbyte.get_source(
        "source-mongotap",
        local_executable=executable,
        config=json.load(open(config)),
        install_if_missing=False,
    )
    source.check()
    source.select_all_streams()
    result = source.read(DuckDBCache(db_path=database))
    return {"records": result.processed_records}


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def rows():
    """By the connection of the cache: DuckDB takes no second one with other settings."""
    cache = DuckDBCache(db_path=database)
    tables = {}
    with cache.get_sql_engine().connect() as connection:
        names = connection.execute(sqlalchemy.text("select table_name from information_schema.tables")).scalars().all()
        for name in names:
            if name.startswith("_"):
                continue
            found = connection.execute(sqlalchemy.text(f'select * from main."{name}"')).mappings()
            tables[name] = [{column: text(value) for column, value in row.items()} for row in found]
    return tables


COMMANDS = {"read": read, "rows": rows}

with os.fdopen(3, "w") as answers:
    for line in sys.stdin:
        try:
            answer = COMMANDS[line.strip()]()
        except Exception as error:  # the test judges it
            answer = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
