//! What most functions here are made of: a name, a check of the argument types, a result type and a
//! body over arrays.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use meesh_base::Error;

/// A scalar function.
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// The types that arguments of these types are cast to; `None` if the function does not take them.
    pub(super) accepts: fn(&[DataType]) -> Option<Vec<DataType>>,
    /// The result's type, given the types of the arguments as cast.
    pub(super) returns: fn(&[DataType]) -> DataType,
    /// The result, one value for each of the rows.
    pub(super) body: fn(&[ArrayRef], &ConfigOptions) -> Result<ArrayRef>,
}

/// A definition as DataFusion wants it.
struct Function {
    definition: &'static Definition,
    signature: Signature,
}

/// Makes the function that the definition describes.
pub(super) fn function(definition: &'static Definition) -> Arc<ScalarUDF> {
    let signature = Signature::user_defined(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Function { definition, signature }))
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.definition.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        (self.definition.accepts)(types).ok_or_else(|| unexpected_types(self.definition.name, types))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.definition.returns)(types))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (self.definition.body)(&arrays, &args.config_options)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?),
            false => ColumnarValue::Array(result),
        })
    }
}

/// The refusal of a call whose arguments have the wrong types or number.
pub(super) fn unexpected_types(name: &str, types: &[DataType]) -> DataFusionError {
    let types: Vec<String> = types.iter().map(ToString::to_string).collect();
    let message = format!("unexpected parameters ({}) for function {name}", types.join(", "));
    external(Error::invalid_query(message).with_code("FUNCTION_NOT_FOUND"))
}

/// An argument that a function does not take.
pub(super) fn invalid_argument(message: impl Into<String>) -> DataFusionError {
    external(Error::invalid_query(message).with_code("INVALID_FUNCTION_ARGUMENT"))
}

/// An error of meesh's inside of DataFusion's.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The argument at `index`, as the array type that the signature promised.
pub(super) fn argument<T: 'static>(arrays: &[ArrayRef], index: usize) -> Result<&T> {
    let array = arrays.get(index).ok_or_else(|| exec_datafusion_err!("argument {index} is missing"))?;
    array
        .as_any()
        .downcast_ref::<T>()
        .ok_or_else(|| exec_datafusion_err!("argument {index} is a {}", array.data_type()))
}

/// Whether values of the type are text.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// Whether values of the type are whole numbers.
pub(super) fn is_integer(data_type: &DataType) -> bool {
    data_type.is_integer() || data_type.is_null()
}
