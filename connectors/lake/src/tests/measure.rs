//! Timings against files of a folder that the environment names; run by hand.

use std::time::Instant;

use meesh_base::ConfigValues;
use meesh_connector_spi::{Connector, from_datafusion};

use super::{rows, run};
use crate::LakeConnector;

const COUNTS: &str = "count(l_orderkey),count(l_partkey),count(l_suppkey),count(l_linenumber),count(l_quantity),count(l_extendedprice),count(l_discount),count(l_tax),count(l_returnflag),count(l_linestatus),count(l_shipdate),count(l_commitdate),count(l_receiptdate),count(l_shipinstruct),count(l_shipmode),count(l_comment)";
const Q1: &str = "select l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice), sum(l_extendedprice * (1 - l_discount)), sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)), avg(l_quantity), avg(l_extendedprice), avg(l_discount), count(*) from lineitem where l_shipdate <= date '1998-09-02' group by 1, 2 order by 1, 2";
const Q6: &str = "select sum(l_extendedprice * l_discount) from lineitem where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01' and l_discount between 0.05 and 0.07 and l_quantity < 24";

#[test]
#[ignore = "run by hand"]
fn measure() {
    let Ok(folder) = std::env::var("LAKE_BENCH") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut values = ConfigValues::new("catalog \"lake\"");
        values.set("lake.root", format!("file://{folder}"), "test");
        let connector = LakeConnector::open("lake", &values).unwrap();
        for schema in ["raw", "pq"] {
            let table = connector.table(schema, "lineitem").await.unwrap().unwrap();
            for (name, sql) in [
                ("sum1", "select sum(l_quantity) from lineitem".to_owned()),
                ("all16", format!("select {COUNTS} from lineitem")),
                ("q1", Q1.to_owned()),
                ("q6", Q6.to_owned()),
            ] {
                let mut best = f64::MAX;
                let mut answer = Vec::new();
                for _ in 0..3 {
                    let scope =
                        std::sync::Arc::new(meesh_base::QueryScope::new(meesh_base::QueryId::generate(), "a", None));
                    let config =
                        datafusion::prelude::SessionConfig::new().with_target_partitions(2).with_extension(scope);
                    let context = datafusion::prelude::SessionContext::new_with_config(config);
                    context.register_table("lineitem", std::sync::Arc::clone(&table)).map_err(from_datafusion).unwrap();
                    let started = Instant::now();
                    answer = rows(&run(&context, &sql).await.unwrap());
                    best = best.min(started.elapsed().as_secs_f64());
                }
                println!("{schema} {name} {best:.3} {}", answer.join(" / ").chars().take(120).collect::<String>());
            }
        }
    });
}
