"""PyAirbyte as its users run it. Takes commands on standard input, one a line; answers each on a line of descriptor 3.

read NAME    reads all streams by the config NAME.json into NAME.duckdb, with a new source, as a new run of a script does
rows NAME    the rows of all tables in NAME.duckdb, each value as text
"""

import json
import os
import sys

import airbyte
import sqlalchemy
from airbyte.caches import DuckDBCache

executable = sys.argv[1]


def read(name):
    source = airbyte.get_source(
        "source-mongotap",
        local_executable=executable,
        config=json.load(open(f"{name}.json")),
        install_if_missing=False,
    )
    source.check()
    source.select_all_streams()
    result = source.read(DuckDBCache(db_path=f"{name}.duckdb"))
    return {"records": result.processed_records}


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def rows(name):
    """By the connection of the cache: DuckDB takes no second one with other settings."""
    cache = DuckDBCache(db_path=f"{name}.duckdb")
    tables = {}
    with cache.get_sql_engine().connect() as connection:
        names = connection.execute(sqlalchemy.text("select table_name from information_schema.tables")).scalars().all()
        for table in names:
            if table.startswith("_"):
                continue
            found = connection.execute(sqlalchemy.text(f'select * from main."{table}"')).mappings()
            tables[table] = [{column: text(value) for column, value in row.items()} for row in found]
    return tables


COMMANDS = {"read": read, "rows": rows}

with os.fdopen(3, "w") as answers:
    for line in sys.stdin:
        try:
            command, name = line.split()
            answer = COMMANDS[command](name)
        except Exception as error:  # the test judges it
            answer = {"error": type(error).__name__, "text": str(error)}
        print(json.dumps(answer), file=answers, flush=True)
