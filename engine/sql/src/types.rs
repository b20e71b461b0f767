//! Types of casts and literals that DataFusion's own planner does not know.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, TimezoneInfo};

/// Plans the types that [`crate::parse`] produces: give it to DataFusion's session as its type planner.
#[derive(Debug)]
pub struct TrinoTypes;

impl TypePlanner for TrinoTypes {
    /// `time(p)`; everything else is left to DataFusion.
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let data_type = match sql_type {
            SqlType::Time(Some(0), TimezoneInfo::None) => DataType::Time32(TimeUnit::Second),
            SqlType::Time(Some(3), TimezoneInfo::None) => DataType::Time32(TimeUnit::Millisecond),
            SqlType::Time(Some(6), TimezoneInfo::None) => DataType::Time64(TimeUnit::Microsecond),
            SqlType::Time(Some(9), TimezoneInfo::None) => DataType::Time64(TimeUnit::Nanosecond),
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}
