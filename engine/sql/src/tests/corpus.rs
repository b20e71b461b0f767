//! Temporary.
use crate::parse;
#[test]
#[ignore]
fn corpus() {
    for file in ["expressions", "queries"] {
        let text = std::fs::read_to_string(format!("{}/{file}.jsonl", std::env::var("CORPUS").unwrap())).unwrap();
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let sql = value["sql"].as_str().unwrap();
            if let Err(error) = parse(sql) {
                println!(
                    "{}\t{}\t{}",
                    error.message(),
                    sql.chars().take(200).collect::<String>(),
                    value["error"]["name"]
                );
            }
        }
    }
}
