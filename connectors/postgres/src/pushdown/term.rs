//! A printed expression with what must be known to use it in another one.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use crate::catalog::RemoteColumn;
use crate::types::{Collation, Form};

/// How tightly an expression's outermost operator binds (PostgreSQL manual, section 4.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binding {
    /// `OR`.
    Or,
    /// `AND`.
    And,
    /// `NOT`.
    Not,
    /// Comparisons, `IS`, `IN`, `LIKE`.
    Compare,
    /// `+ - * / %`.
    Arithmetic,
    /// Names, literals, calls, casts and what stands in parentheses.
    Atom,
}

/// A printed expression.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    /// The SQL.
    pub(super) text: String,
    /// What must be put in parentheses where.
    pub(super) binding: Binding,
    /// The engine's type of it.
    pub(super) arrow: DataType,
    /// Which operators mean the same on it.
    pub(super) form: Form,
    /// If it is text, by what it is compared.
    pub(super) collation: Collation,
    /// The column it is, with nothing done to it.
    pub(crate) column: Option<Arc<RemoteColumn>>,
    /// The literal it is.
    pub(super) literal: Option<ScalarValue>,
    /// Whether it is a name or a literal, so that using it twice costs nothing.
    pub(super) plain: bool,
}

impl Term {
    /// A column, called `text` where it is used.
    pub(super) fn column(text: String, column: &Arc<RemoteColumn>) -> Self {
        Self {
            form: column.column_type.form,
            collation: column.collation,
            column: Some(Arc::clone(column)),
            plain: true,
            ..Self::computed(text, Binding::Atom, column.column_type.arrow.clone())
        }
    }

    /// A literal.
    pub(super) fn literal(text: String, value: &ScalarValue) -> Self {
        Self {
            collation: Collation::NONE,
            literal: Some(value.clone()),
            plain: true,
            ..Self::computed(text, Binding::Atom, value.data_type())
        }
    }

    /// The result of an operator or function.
    pub(super) fn computed(text: String, binding: Binding, arrow: DataType) -> Self {
        let form = if is_text(&arrow) { Form::Text } else { Form::Plain };
        Self { text, binding, arrow, form, collation: Collation::MIXED, column: None, literal: None, plain: false }
    }

    /// The result of a comparison or connective.
    pub(super) fn truth(text: String, binding: Binding) -> Self {
        Self::computed(text, binding, DataType::Boolean)
    }

    /// The SQL, in parentheses if it binds weaker than `least`.
    pub(super) fn bound(&self, least: Binding) -> String {
        if self.binding < least { format!("({})", self.text) } else { self.text.clone() }
    }

    /// The SQL as an operand of anything.
    pub(super) fn atom(&self) -> String {
        self.bound(Binding::Atom)
    }

    /// The same value as an expression of the type that PostgreSQL has for [`Self::arrow`]: what
    /// only has a text is cast to it. `None` if there is no such expression.
    pub(super) fn value(&self) -> Option<Self> {
        match self.form {
            Form::Plain | Form::Text => Some(self.clone()),
            Form::Padded | Form::Uuid | Form::AsText => Some(Self {
                text: format!("{}::text", self.atom()),
                binding: Binding::Atom,
                form: Form::Text,
                column: None,
                plain: false,
                ..self.clone()
            }),
            Form::Opaque | Form::Composite => None,
        }
    }
}

/// Whether a type is one of the engine's texts.
pub(super) fn is_text(arrow: &DataType) -> bool {
    matches!(arrow, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a type is one of the engine's byte strings.
pub(super) fn is_binary(arrow: &DataType) -> bool {
    matches!(arrow, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}
