//! CSV and JSON end to end.

use std::io::Write;

use meesh_base::ErrorKind;
use meesh_connector_spi::Connector;

use super::Lake;

fn gzip(content: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_csv_file_is_a_table() {
    let lake = Lake::new();
    lake.write(
        "raw/sales.csv",
        "id,name,amount,day\n1,ann,1.5,2026-11-23\n2,\"b,\"\"c\",2,\n3,,,2026-11-24\n4,\"\",1,\n",
    );
    assert_eq!(lake.columns("sales").await.unwrap(), "id bigint, name varchar, amount double, day date");
    assert_eq!(
        lake.rows("select * from sales").await.iter().map(|row| row.split("|file").next().unwrap()).collect::<Vec<_>>(),
        ["1|ann|1.5|2026-11-23", "2|b,\"c|2.0|", "3|||2026-11-24", "4||1.0|"]
    );
    assert_eq!(lake.rows("select count(*), sum(amount) from sales where name is not null").await, ["3|4.5"]);
    assert_eq!(lake.rows("select day from sales where id = 3").await, ["2026-11-24"]);
    assert_eq!(lake.rows("select count(*) from sales").await, ["4"]);
}

#[tokio::test]
async fn every_packing_and_layout_reads_the_same() {
    let lake = Lake::new();
    let csv = "id,tag\n1,a\n2,b\n";
    lake.write("raw/plain.csv", csv);
    lake.write("raw/packed.csv.gz", gzip(csv));
    lake.write("raw/zstd.csv.zst", zstd::encode_all(csv.as_bytes(), 1).unwrap());
    lake.write("raw/semi.csv", csv.replace(',', ";"));
    lake.write("raw/tabs.tsv", csv.replace(',', "\t"));
    lake.write("raw/crlf.csv", csv.replace('\n', "\r\n"));
    lake.write("raw/marked.csv", format!("\u{feff}{csv}"));
    lake.write("raw/noend/000000_0", csv);
    lake.write("raw/lines.ndjson", "{\"id\":1,\"tag\":\"a\"}\n{\"id\":2,\"tag\":\"b\"}");
    lake.write("raw/list.json", "[{\"id\":1,\"tag\":\"a\"},\n {\"tag\":\"b\",\"id\":2}]\n");
    lake.write("raw/pretty.json", "{\n \"id\": 1,\n \"tag\": \"a\"\n}\n{\n \"id\": 2,\n \"tag\": \"b\"\n}\n");
    lake.write("raw/packedjson.json.gz", gzip("{\"id\":1,\"tag\":\"a\"}\n{\"id\":2,\"tag\":\"b\"}\n"));
    let tables = lake.connector.tables("raw").await.unwrap();
    assert_eq!(tables.len(), 12);
    for table in tables {
        let name = table.name;
        assert_eq!(lake.columns(&name).await.unwrap(), "id bigint, tag varchar", "{name}");
        assert_eq!(lake.rows(&format!("select id, tag from {name}")).await, ["1|a", "2|b"], "{name}");
    }
}

#[tokio::test]
async fn partitions_of_a_scan_share_one_large_file() {
    let lake = Lake::new();
    let count = 200_000u64;
    let mut csv = String::from("n,text\n");
    for n in 0..count {
        csv.push_str(&format!("{n},\"line {n}\nof \"\"two\"\", all in quotes\"\n"));
    }
    lake.write("raw/big.csv", &csv);
    lake.write("raw/bigpacked.csv.gz", gzip(&csv));
    let json: String = (0..count).map(|n| format!("{{\"n\":{n},\"text\":\"{n}\"}}\n")).collect();
    lake.write("raw/bigjson.json", json);
    for table in ["big", "bigpacked", "bigjson"] {
        let answer = lake.query(&format!("select count(*), sum(n), count(distinct text) from {table}")).await.unwrap();
        assert_eq!(answer.rows, [format!("{count}|{}|{count}", count * (count - 1) / 2)], "{table}");
        assert_eq!((answer.files, answer.scanned_rows), (1, count), "{table}");
    }
    let few = lake.query("select n from big limit 3").await.unwrap();
    assert_eq!(few.rows.len(), 3);
    assert!(few.scanned_rows < 10_000, "{few:?}");
}

#[tokio::test]
async fn nested_json_is_rows_and_arrays() {
    let lake = Lake::new();
    lake.write(
        "raw/tickets.json",
        "{\"id\":1,\"by\":{\"name\":\"ann\",\"age\":7},\"tags\":[\"a\",\"b\"],\"at\":\"2026-11-23T10:15:00Z\"}\n\
         {\"id\":2,\"by\":{\"name\":\"bob\"},\"tags\":[]}\n{\"id\":3,\"by\":null}\n",
    );
    assert_eq!(
        lake.columns("tickets").await.unwrap(),
        "id bigint, by row(name varchar, age bigint), tags array(varchar), at timestamp(6) with time zone"
    );
    assert_eq!(lake.rows("select id, \"by\"['name'] from tickets").await, ["1|ann", "2|bob", "3|"]);
    assert_eq!(lake.rows("select id, at from tickets where at is not null").await, ["1|2026-11-23T10:15:00Z"]);
}

#[tokio::test]
async fn folders_are_tables_and_key_value_folders_columns() {
    let lake = Lake::new();
    for (day, n) in [("2026-11-23", 1), ("2026-11-24", 2)] {
        for hour in [0, 1] {
            lake.write(&format!("raw/visits/day={day}/hour={hour}/a.csv"), format!("page,n\n/a,{n}\n/b,{hour}\n"));
        }
    }
    lake.write("raw/visits/day=__HIVE_DEFAULT_PARTITION__/hour=0/a.csv", "page,n\n/c,9\n");
    lake.write("raw/visits/day=2026-11-24/hour=1/_SUCCESS", "");
    lake.write("raw/visits/old/ignored.csv", "x\n1\n");
    assert_eq!(lake.columns("visits").await.unwrap(), "page varchar, n bigint, day date, hour bigint");
    assert_eq!(
        lake.rows("select day, count(*) from visits group by day").await,
        ["2026-11-23|4", "2026-11-24|4", "|1"]
    );
    let pruned = lake.query("select sum(n) from visits where day = date '2026-11-23' and hour = 1").await.unwrap();
    assert_eq!((pruned.rows, pruned.files), (vec!["2".to_owned()], 1));
    let pruned = lake.query("select page from visits where day is null").await.unwrap();
    assert_eq!((pruned.rows, pruned.files), (vec!["/c".to_owned()], 1));
    let path = lake.query("select count(*) from visits where \"$path\" like '%hour=1/a.csv'").await.unwrap();
    assert_eq!((path.rows, path.files), (vec!["4".to_owned()], 2));
    let none = lake.query("select page from visits where hour = 7").await.unwrap();
    assert_eq!((none.rows.len(), none.files), (0, 0));
}

#[tokio::test]
async fn files_of_one_table_may_differ_by_rule() {
    let lake = Lake::new();
    lake.write("raw/t/a.csv", "id,x\n1,1\n");
    lake.write("raw/t/b.csv", "x,id,extra\n2.5,2,z\n");
    lake.write("raw/t/c.csv", "id\n3\n");
    assert_eq!(lake.columns("t").await.unwrap(), "id bigint, x double, extra varchar");
    assert_eq!(lake.rows("select id, x, extra from t").await, ["1|1.0|", "2|2.5|z", "3||"]);
    lake.write("raw/u/a.csv", "id\n1\n");
    lake.write("raw/u/b.csv", "id\nx\n");
    let error = lake.columns("u").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceData);
    for part in ["column \"id\" is bigint", "raw/u/a.csv", "varchar", "raw/u/b.csv"] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
    lake.write("raw/m/a.csv", "id\n1\n");
    lake.write("raw/m/b.json", "{\"id\":1}\n");
    let error = lake.columns("m").await.unwrap_err().to_string();
    assert!(error.contains("raw/m/a.csv") && error.contains("raw/m/b.json"), "{error}");
}

#[tokio::test]
async fn declared_tables_win_over_inference() {
    let lake = Lake::with(&[
        ("table.raw.zips.location", "odd/zips.txt"),
        ("table.raw.zips.format", "csv"),
        ("table.raw.zips.columns", "zip varchar, amount decimal(6,2), note varchar"),
        ("table.raw.zips.delimiter", ";"),
        ("table.raw.zips.header", "false"),
        ("table.raw.later.location", "later"),
        ("table.raw.later.format", "json"),
        ("table.raw.later.columns", "id bigint"),
    ]);
    lake.write("odd/zips.txt", "02134;1.5\n10115;2\n");
    lake.write("raw/zips.csv", "never\nread\n");
    lake.write("later/_nothing_yet", "");
    assert_eq!(lake.columns("zips").await.unwrap(), "zip varchar, amount decimal(6,2), note varchar");
    assert_eq!(lake.rows("select zip, amount, note from zips").await, ["02134|1.50|", "10115|2.00|"]);
    assert!(lake.rows("select id from later").await.is_empty());
    assert_eq!(lake.connector.schemas().await.unwrap(), ["later", "odd", "raw"]);
}

#[tokio::test]
async fn keys_that_differ_in_case_are_one_column_of_several_files_and_a_fault_of_one() {
    let lake = Lake::new();
    lake.write("raw/t/a.json", "{\"Id\":1}\n");
    lake.write("raw/t/b.json", "{\"id\":2}\n{\"ID\":3}\n");
    let error = lake.columns("t").await.unwrap_err().to_string();
    assert!(error.contains("raw/t/b.json\" has the columns \"id\" and \"ID\""), "{error}");
    lake.write("raw/t/b.json", "{\"id\":2}\n{\"id\":3}\n");
    assert_eq!(lake.rows("select \"Id\" from t").await, ["1", "2", "3"]);
    let declared = Lake::with(&[("table.raw.t.location", "raw/t"), ("table.raw.t.columns", "id bigint")]);
    declared.write("raw/t/a.json", "{\"id\":1}\n{\"ID\":2}\n");
    assert_eq!(declared.rows("select id from t").await, ["1", "2"]);
    declared.write("raw/t/a.json", "{\"id\":1}\n{\"Id\":2,\"id\":3}\n");
    let error = declared.error("select id from t").await.to_string();
    assert!(error.contains("line 2") && error.contains("differ in case only"), "{error}");
}

#[tokio::test]
async fn a_first_line_that_names_no_column_is_told_whatever_is_asked_for() {
    let lake = Lake::with(&[
        ("table.raw.t.location", "raw/t.csv"),
        ("table.raw.t.columns", "name varchar, city varchar"),
        ("lake.sample-files", "2"),
    ]);
    lake.write("raw/t.csv", "ann,bonn\nbob,ulm\n");
    for name in ["a", "c"] {
        lake.write(&format!("raw/u/{name}.csv"), "name,n\nann,1\n");
    }
    // Between the two that are sampled.
    lake.write("raw/u/b.csv", "bob,2\n");
    for sql in ["select * from t", "select name from t", "select count(*) from t", "select name from u"] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), ErrorKind::SourceData);
        assert!(error.to_string().contains("line 1: names no column of the table"), "{sql}: {error}");
    }
    lake.write("raw/t.csv", "City,note\nbonn,x\n");
    assert_eq!(lake.rows("select name from t").await, [""]);
    assert_eq!(lake.rows("select count(*) from t").await, ["1"]);
    lake.write("raw/u/b.csv", "other,n\nx,2\n");
    assert_eq!(lake.rows("select name from u").await, ["", "ann", "ann"]);
}

#[tokio::test]
async fn a_declared_format_takes_files_of_any_name() {
    let format = ("table.raw.t.format", "csv");
    let lake = Lake::with(&[("table.raw.t.location", "raw/t"), ("table.raw.t.columns", "id bigint"), format]);
    for (number, name) in ["a.csv", "b.txt", "c.2026", "k=1/d.dat"].iter().enumerate() {
        lake.write(&format!("raw/t/{name}"), format!("id\n{number}\n"));
    }
    lake.write("raw/t/_SUCCESS", "no\n");
    lake.write("raw/t/.a.csv.crc", "no\n");
    lake.write("raw/t/empty.txt", "");
    std::fs::remove_dir_all(lake.directory.path().join("raw/t/k=1")).unwrap();
    assert_eq!(lake.rows("select id from t").await, ["0", "1", "2"]);
}

#[tokio::test]
async fn an_empty_partition_value_is_null_or_an_empty_text() {
    let lake = Lake::new();
    lake.write("raw/t/n=/s=/a.csv", "x\n1\n");
    lake.write("raw/t/n=7/s=a/a.csv", "x\n2\n");
    assert_eq!(lake.columns("t").await.unwrap(), "x bigint, n bigint, s varchar");
    assert_eq!(lake.rows("select x from t where n is null").await, ["1"]);
    assert_eq!(lake.rows("select x from t where s = ''").await, ["1"]);
    assert_eq!(lake.rows("select x, n, s from t where n is not null or s is not null").await, ["1||", "2|7|a"]);
    assert_eq!(lake.rows("select count(n), count(s) from t").await, ["1|2"]);
}

#[tokio::test]
async fn numbers_beyond_the_sample_follow_its_rules() {
    let lake = Lake::with(&[("lake.sample-size", "4kB")]);
    let rest = "0.5\n".repeat(5_000);
    for wrong in ["007", "+49", "1e400"] {
        lake.write("raw/t.csv", format!("x\n{rest}{wrong}\n"));
        let json: String = rest.lines().map(|x| format!("{{\"x\":{x}}}\n")).collect();
        lake.write("raw/j.json", format!("{json}{{\"x\":{}}}\n", wrong.replace("+49", "-049")));
        for table in ["t", "j"] {
            let error = lake.error(&format!("select sum(x) from {table}")).await.to_string();
            assert!(error.contains("line 500") && error.contains("is not a double"), "{error}");
        }
    }
    let columns = ("table.raw.t.columns", "x double, at timestamp(9)");
    let declared = Lake::with(&[("table.raw.t.location", "raw/t.csv"), columns]);
    declared.write("raw/t.csv", "x,at\n007,2026-11-23 10:15:00.123456789\n");
    assert_eq!(declared.rows("select x, at from t").await, ["7.0|2026-11-23T10:15:00.123456789"]);
}

#[tokio::test]
async fn batches_end_with_their_text_and_their_slots() {
    let lake = Lake::new();
    let long = "x".repeat(200 << 10);
    let lines: String = (0..200).map(|n| format!("{{\"n\":{n},\"s\":\"{long}\"}}\n")).collect();
    lake.write("raw/long.json", &lines);
    lake.write("raw/longcsv.csv", format!("n,s\n{}", format!("1,{long}\n").repeat(200)));
    let fields: Vec<String> = (0..900).map(|n| format!("\"f{n}\":1")).collect();
    lake.write("raw/wide.json", format!("{{{}}}\n{}", fields.join(","), "{}\n".repeat(20_000)));
    let (context, _) = lake.session().await.unwrap();
    for (table, most, rows) in [("long", 16 << 20, 200), ("longcsv", 16 << 20, 200), ("wide", 64 << 20, 20_001)] {
        let batches = super::run(&context, &format!("select * from {table}")).await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows, "{table}");
        let largest = batches.iter().map(|batch| batch.get_array_memory_size()).max().unwrap();
        assert!(largest < most, "{table}: {largest}");
    }
}

#[tokio::test]
async fn arrays_of_rows_that_would_fill_the_memory_are_refused() {
    let lake = Lake::with(&[("lake.sample-size", "64kB")]);
    let fields: Vec<String> = (0..900).map(|n| format!("\"f{n}\":1")).collect();
    let bomb = vec!["{}"; 100_000].join(",");
    let rest = "{\"a\":null}\n".repeat(10_000);
    lake.write("raw/t.json", format!("{{\"a\":[{{{}}}]}}\n{rest}{{\"a\":[{bomb}]}}\n", fields.join(",")));
    let error = lake.error("select count(a) from t").await;
    assert_eq!(error.kind(), ErrorKind::SourceData);
    for part in ["line 10002", "column \"a\"", "too many values", "varchar", "table.raw.t.columns"] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
}

#[tokio::test]
async fn very_wide_files_are_refused_at_once() {
    let lake = Lake::with(&[("lake.sample-files", "2")]);
    let line = |text: &str, count: usize| vec![text; count].join(",");
    let wide = |count: usize| format!("{}\n{}\n", line("a", count), line("1", count));
    for name in ["a", "c"] {
        lake.write(&format!("raw/t/{name}.csv"), "a,n\nx,1\n");
    }
    // Between the two that are sampled.
    lake.write("raw/t/b.csv", wide(300_000));
    let started = std::time::Instant::now();
    let unsampled = lake.error("select count(*) from t").await;
    lake.write("raw/u.csv", wide(300_000));
    for (error, object) in [(unsampled, "raw/t/b.csv"), (lake.columns("u").await.unwrap_err(), "raw/u.csv")] {
        assert_eq!(error.kind(), ErrorKind::SourceData);
        for part in [object, "more than 10000 fields", "delimiter"] {
            assert!(error.to_string().contains(part), "{part} in {error}");
        }
    }
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
    lake.write("raw/u.csv", wide(10_000));
    assert_eq!(lake.rows("select a, a_9999 from u").await, ["1|1"]);
}

#[tokio::test]
async fn declared_columns_need_no_sample() {
    let lake = Lake::with(&[
        ("table.raw.j.location", "raw/j.json"),
        ("table.raw.j.columns", "k5 bigint"),
        ("table.raw.c.location", "raw/c.csv"),
        ("table.raw.c.columns", "a bigint"),
        ("table.raw.c.delimiter", ","),
        ("table.raw.c.header", "false"),
        ("lake.sample-size", "4kB"),
    ]);
    let keys: Vec<String> = (0..1500).map(|n| format!("\"k{n}\":{n}")).collect();
    lake.write("raw/j.json", format!("{{{}}}\n", keys.join(",")));
    lake.write("raw/c.csv", format!("{}1\n", " ".repeat(5_000)));
    assert_eq!(lake.rows("select k5 from j").await, ["5"]);
    assert_eq!(lake.rows("select a from c").await, ["1"]);
    let sampled = Lake::new();
    sampled.write("raw/j.json", format!("{{{}}}\n", keys.join(",")));
    let error = sampled.columns("j").await.unwrap_err();
    assert!(error.message().contains("more than 1000 fields"), "{error}");
    assert!(error.hint().unwrap().contains("declare the columns"), "{error}");
}

#[tokio::test]
async fn new_files_are_seen_after_a_refresh_and_changed_ones_never_mixed() {
    let lake = Lake::with(&[("lake.list-ttl", "60s")]);
    lake.write("raw/t/a.csv", "id\n1\n");
    assert_eq!(lake.rows("select id from t").await, ["1"]);
    lake.write("raw/t/b.csv", "id\n2\n");
    assert_eq!(lake.rows("select id from t").await, ["1"]);
    lake.connector.refresh(None, None).await.unwrap();
    assert_eq!(lake.rows("select id from t").await, ["1", "2"]);
    // Replaced behind the listing's back: an error once, then the new content.
    std::fs::remove_file(lake.directory.path().join("raw/t/b.csv")).unwrap();
    lake.write("raw/t/b.csv", "id\n22\n");
    let error = lake.error("select id from t").await;
    assert!(error.to_string().contains("raw/t/b.csv\" changed while it was read"), "{error}");
    assert_eq!(lake.rows("select id from t").await, ["1", "22"]);
}

#[tokio::test]
async fn a_value_beyond_the_sample_that_does_not_fit_names_its_place() {
    let lake = Lake::with(&[("lake.sample-size", "4kB")]);
    let mut csv = String::from("id,note\n");
    (0..5_000).for_each(|n| csv.push_str(&format!("{n},some text\n")));
    csv.push_str("12x,\"\"\n");
    lake.write("raw/t.csv", &csv);
    let error = lake.error("select sum(id) from t").await;
    assert_eq!(error.kind(), ErrorKind::SourceData);
    for part in ["raw/t.csv", "line 5002", "column \"id\"", "\"12x\" is not a bigint", "table.raw.t.columns"] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
    assert_eq!(lake.rows("select count(*) from t").await, ["5001"]);
    assert_eq!(lake.rows("select note from t where note = ''").await, [""]);
}

#[tokio::test]
async fn a_cancelled_query_stops() {
    let lake = Lake::new();
    let csv: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    lake.write("raw/t.csv", format!("n\n{csv}"));
    let (context, scope) = lake.session().await.unwrap();
    scope.cancel_token().cancel();
    let error = super::run(&context, "select sum(n) from t").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
