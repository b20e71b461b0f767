//! Words of the language for GetSqlInfo: function names, conversions.

/// Functions over numbers.
pub(crate) const NUMERIC_FUNCTIONS: &[&str] = &[
    "abs", "acos", "asin", "atan", "atan2", "cbrt", "ceil", "cos", "cosh", "degrees", "exp", "floor", "ln", "log",
    "log10", "log2", "mod", "pi", "power", "radians", "random", "round", "sign", "sin", "sinh", "sqrt", "tan", "tanh",
];

/// Functions over texts.
pub(crate) const STRING_FUNCTIONS: &[&str] = &[
    "chr",
    "concat",
    "concat_ws",
    "length",
    "lower",
    "lpad",
    "ltrim",
    "regexp_like",
    "regexp_replace",
    "replace",
    "reverse",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "translate",
    "trim",
    "upper",
];

/// Functions about the session and NULL.
pub(crate) const SYSTEM_FUNCTIONS: &[&str] = &["coalesce", "nullif"];

/// Functions over dates and times.
pub(crate) const DATETIME_FUNCTIONS: &[&str] =
    &["current_date", "current_timestamp", "date_part", "date_trunc", "extract", "from_unixtime", "now", "to_unixtime"];

// Numbers of SqlSupportsConvert (FlightSql.proto).
const BIGINT: i32 = 0;
const BIT: i32 = 2;
const CHAR: i32 = 3;
const DATE: i32 = 4;
const DECIMAL: i32 = 5;
const FLOAT: i32 = 6;
const INTEGER: i32 = 7;
const NUMERIC: i32 = 12;
const REAL: i32 = 13;
const SMALLINT: i32 = 14;
const TIME: i32 = 15;
const TIMESTAMP: i32 = 16;
const TINYINT: i32 = 17;
const VARBINARY: i32 = 18;
const VARCHAR: i32 = 19;

const FROM_NUMBER: &[i32] = &[BIGINT, BIT, CHAR, DECIMAL, FLOAT, INTEGER, NUMERIC, REAL, SMALLINT, TINYINT, VARCHAR];
const FROM_TEXT: &[i32] = &[
    BIGINT, BIT, CHAR, DATE, DECIMAL, FLOAT, INTEGER, NUMERIC, REAL, SMALLINT, TIME, TIMESTAMP, TINYINT, VARBINARY,
    VARCHAR,
];

/// Which type can be cast to which.
pub(crate) const CONVERSIONS: &[(i32, &[i32])] = &[
    (BIGINT, FROM_NUMBER),
    (BIT, FROM_NUMBER),
    (CHAR, FROM_TEXT),
    (DATE, &[CHAR, DATE, TIMESTAMP, VARCHAR]),
    (DECIMAL, FROM_NUMBER),
    (FLOAT, FROM_NUMBER),
    (INTEGER, FROM_NUMBER),
    (NUMERIC, FROM_NUMBER),
    (REAL, FROM_NUMBER),
    (SMALLINT, FROM_NUMBER),
    (TIME, &[CHAR, TIME, VARCHAR]),
    (TIMESTAMP, &[CHAR, DATE, TIME, TIMESTAMP, VARCHAR]),
    (TINYINT, FROM_NUMBER),
    (VARBINARY, &[VARBINARY]),
    (VARCHAR, FROM_TEXT),
];
