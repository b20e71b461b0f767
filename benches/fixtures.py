"""What the benchmark reads: TPC-H files, a PostgreSQL server, an S3 server."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keysets
from support.postgres import PASSWORD, Postgres, bin_dir
from support.real_s3 import S3, Unavailable, minio, minio_program
from support.s3 import FakeS3

CACHE = Path.home() / ".cache" / "meesh"
PARQUET_TABLES = ["region", "supplier", "part", "partsupp", "lineitem"]
POSTGRES_TABLES = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"]

POSTGRES_DDL = """
CREATE TABLE region (r_regionkey bigint PRIMARY KEY, r_name varchar(25) NOT NULL, r_comment varchar(152) NOT NULL);
CREATE TABLE nation (n_nationkey bigint PRIMARY KEY, n_name varchar(25) NOT NULL, n_regionkey bigint NOT NULL,
    n_comment varchar(152) NOT NULL);
CREATE TABLE supplier (s_suppkey bigint PRIMARY KEY, s_name varchar(25) NOT NULL, s_address varchar(40) NOT NULL,
    s_nationkey bigint NOT NULL, s_phone varchar(15) NOT NULL, s_acctbal numeric(15, 2) NOT NULL,
    s_comment varchar(101) NOT NULL);
CREATE TABLE customer (c_custkey bigint PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL,
    c_nationkey bigint NOT NULL, c_phone varchar(15) NOT NULL, c_acctbal numeric(15, 2) NOT NULL,
    c_mktsegment varchar(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE part (p_partkey bigint PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr varchar(25) NOT NULL,
    p_brand varchar(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL,
    p_container varchar(10) NOT NULL, p_retailprice numeric(15, 2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey bigint NOT NULL, ps_suppkey bigint NOT NULL, ps_availqty integer NOT NULL,
    ps_supplycost numeric(15, 2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey bigint PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus varchar(1) NOT NULL,
    o_totalprice numeric(15, 2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority varchar(15) NOT NULL,
    o_clerk varchar(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL,
    l_linenumber integer NOT NULL, l_quantity numeric(15, 2) NOT NULL, l_extendedprice numeric(15, 2) NOT NULL,
    l_discount numeric(15, 2) NOT NULL, l_tax numeric(15, 2) NOT NULL, l_returnflag varchar(1) NOT NULL,
    l_linestatus varchar(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL,
    l_receiptdate date NOT NULL, l_shipinstruct varchar(25) NOT NULL, l_shipmode varchar(10) NOT NULL,
    l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
"""
# Without it PostgreSQL by itself reads the whole table for every part of Q17 and Q20, and takes hours.
POSTGRES_INDEX = "CREATE INDEX ON lineitem (l_partkey, l_suppkey)"


def tpchgen() -> str:
    return str(Path(sys.executable).parent / "tpchgen-cli")


def tpch_parquet(scale: str) -> Path:
    """The folder of the Parquet files, made once a scale: `lake/tpch/TABLE.parquet` and `lake/keys/SET.parquet`."""
    folder = CACHE / "bench" / f"tpch-sf{scale}"
    done = folder / "done"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        tables = ",".join(PARQUET_TABLES)
        subprocess.run([tpchgen(), "parquet", "-s", scale, f"--tables={tables}", "--output-dir",
                        str(folder / "lake" / "tpch")], check=True)
        done.touch()
    keysets.write_files(folder / "lake" / "keys", scale)
    return folder


@contextlib.contextmanager
def postgres(scale: str):
    """PostgreSQL with all tables of TPC-H, primary keys and statistics; the sets of keys; and the demo's `sales`."""
    server = Postgres("bench", {
        "shared_buffers": "1GB", "work_mem": "64MB", "maintenance_work_mem": "256MB", "max_wal_size": "8GB",
        "wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off",
    })
    try:
        server.start()
        server.load("sales", Path(__file__).parents[1] / "examples" / "data" / "sales.sql")
        server.psql("CREATE DATABASE tpch")
        server.psql(POSTGRES_DDL, database="tpch")
        for table in POSTGRES_TABLES:
            copy_table(server, table, scale)
        server.psql(POSTGRES_INDEX, database="tpch")
        keysets.load_tables(server, scale)
        server.psql("VACUUM (FREEZE, ANALYZE); GRANT SELECT ON ALL TABLES IN SCHEMA public TO meesh_reader; CHECKPOINT",
                    database="tpch")
        yield server
    finally:
        server.destroy()


def copy_table(server: Postgres, table: str, scale: str) -> None:
    """Generator to COPY by a pipe: no CSV file touches the disk."""
    generator = subprocess.Popen([tpchgen(), "csv", "-s", scale, f"--tables={table}", "--stdout"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    sql = f"COPY {table} FROM STDIN (FORMAT csv, HEADER)"
    subprocess.run([bin_dir() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(server.port),
                    "-U", "postgres", "-d", "tpch", "-c", sql],
                   stdin=generator.stdout, env={**os.environ, "PGPASSWORD": PASSWORD}, check=True)
    if generator.wait() != 0:
        raise RuntimeError(f"tpchgen-cli failed for table {table}")


@contextlib.contextmanager
def s3(scale: str):
    """MinIO with the Parquet files in the bucket `lake`; without Go, the tests' own sendfile server on the files."""
    files = tpch_parquet(scale)
    try:
        minio_program()
    except Unavailable as reason:
        with FakeS3(files) as server:
            yield S3(server.endpoint, f"tests/support/s3.py (sendfile, no signatures: {reason})")
        return
    with minio(CACHE / "bench" / f"minio-sf{scale}", files / "lake") as server:
        yield server
