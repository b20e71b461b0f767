//! Window functions.

use arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::{
    Expr, Window, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};
use datafusion::scalar::ScalarValue;

use super::aggregate::{self, Call};
use super::expression::{ExprPrinter, shown};
use super::literal::Reason;
use super::print::{printer, sort_key, used};
use super::select::{Select, output};
use super::term::{Binding, Term};

/// The functions of no argument that are pushed.
const COUNTERS: &[&str] = &["row_number", "rank", "dense_rank"];

/// `window` over an input that was taken: its columns, and behind them those of the functions.
pub(super) fn window(window: &Window, mut select: Select) -> Result<Select, Reason> {
    let schema = window.input.schema();
    if !select.takes_filter(window.window_expr.iter().flat_map(|expr| used(expr, schema)).collect::<Vec<_>>()) {
        select.wrap();
    }
    let terms: Result<Vec<Term>, Reason> = {
        let printer = printer(&select, schema);
        window.window_expr.iter().map(|expr| column(&printer, expr)).collect()
    };
    let terms = terms?;
    for (term, field) in terms.iter().zip(window.schema.fields().iter().skip(select.columns.len())) {
        output(term, field.data_type()).map_err(|why| format!("{}: {why}", field.name()))?;
    }
    select.window(terms);
    Ok(select)
}

fn column(printer: &ExprPrinter<'_>, expr: &Expr) -> Result<Term, Reason> {
    match expr {
        Expr::Alias(alias) => column(printer, &alias.expr),
        Expr::WindowFunction(call) => {
            let named = |why| format!("{}: {why}", call.fun.name());
            function(printer, call, printer.type_of(expr)?).map_err(named)
        }
        other => Err(format!("{}: not translated", shown(other))),
    }
}

fn function(printer: &ExprPrinter<'_>, call: &WindowFunction, result: DataType) -> Result<Term, Reason> {
    let (name, parameters) = (call.fun.name(), &call.params);
    if parameters.null_treatment.is_some() || parameters.distinct {
        return Err("computed locally".to_owned());
    }
    match &call.fun {
        WindowFunctionDefinition::WindowUDF(_) if COUNTERS.contains(&name) && parameters.args.is_empty() => {
            let text = format!("{name}() OVER ({})", keys(printer, parameters)?.join(" "));
            Ok(Term::computed(text, Binding::Atom, result))
        }
        WindowFunctionDefinition::AggregateUDF(_) => {
            let [argument] = parameters.args.as_slice() else { return Err("several arguments".to_owned()) };
            if matches!(result, DataType::Float32 | DataType::Float64) {
                return Err("sums of floats in a frame".to_owned());
            }
            let mut over = keys(printer, parameters)?;
            over.push(frame(&parameters.window_frame)?);
            let filter = aggregate::filter(printer, parameters.filter.as_deref())?;
            let behind = format!("{filter} OVER ({})", over.join(" "));
            aggregate::function(printer, name, &Call { argument, distinct: false, behind }, result)
        }
        WindowFunctionDefinition::WindowUDF(_) => Err("computed locally".to_owned()),
    }
}

/// `PARTITION BY …`, `ORDER BY …`, as far as there are any.
fn keys(printer: &ExprPrinter<'_>, parameters: &WindowFunctionParams) -> Result<Vec<String>, Reason> {
    let mut clauses = Vec::new();
    let partition = parameters.partition_by.iter().map(|expr| {
        let term = printer.comparer.groupable(&printer.print(expr)?);
        term.map(|term| term.text).map_err(|why| format!("{}: {why}", shown(expr)))
    });
    let partition = partition.collect::<Result<Vec<_>, _>>()?;
    if !partition.is_empty() {
        clauses.push(format!("PARTITION BY {}", partition.join(", ")));
    }
    let order = parameters.order_by.iter().map(|key| sort_key(printer, key)).collect::<Result<Vec<_>, _>>()?;
    if !order.is_empty() {
        clauses.push(format!("ORDER BY {}", order.join(", ")));
    }
    Ok(clauses)
}

/// `ROWS BETWEEN 1 PRECEDING AND CURRENT ROW`. A distance in values would be added to the key there.
fn frame(frame: &WindowFrame) -> Result<String, Reason> {
    let bound = |bound: &WindowFrameBound| {
        let (distance, direction) = match bound {
            WindowFrameBound::CurrentRow => return Ok("CURRENT ROW".to_owned()),
            WindowFrameBound::Preceding(distance) => (distance, "PRECEDING"),
            WindowFrameBound::Following(distance) => (distance, "FOLLOWING"),
        };
        match distance {
            distance if distance.is_null() => Ok(format!("UNBOUNDED {direction}")),
            ScalarValue::UInt64(Some(rows)) if frame.units != WindowFrameUnits::Range => {
                Ok(format!("{rows} {direction}"))
            }
            _ => Err("a frame of values".to_owned()),
        }
    };
    Ok(format!("{} BETWEEN {} AND {}", frame.units, bound(&frame.start_bound)?, bound(&frame.end_bound)?))
}
