//! Long chains as balanced trees: a tree of 20,000 conditions is 15 levels high instead of 20,000,
//! and nothing that walks it, drops it or plans it needs a deep stack.

/// Chains up to this length keep the shape in which they were written.
const FLAT_MAX: usize = 64;

/// How much higher a chain of `count` operands is than its highest operand.
pub(crate) fn height(count: usize) -> usize {
    if count <= FLAT_MAX { count.saturating_sub(1) } else { count.next_power_of_two().trailing_zeros() as usize }
}

/// Combines the operands of an associative operator: to the left if they are few, else evenly.
/// `None` if there are none.
pub(crate) fn combine<T>(operands: Vec<T>, join: impl Fn(T, T) -> T) -> Option<T> {
    if operands.len() <= FLAT_MAX {
        return operands.into_iter().reduce(join);
    }
    let mut level = operands;
    while level.len() > 1 {
        let mut next = Vec::with_capacity(level.len().div_ceil(2));
        let mut rest = level.into_iter();
        while let Some(left) = rest.next() {
            next.push(match rest.next() {
                Some(right) => join(left, right),
                None => left,
            });
        }
        level = next;
    }
    level.pop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_height_is_logarithmic() {
        for count in [1, 2, 3, 64, 65, 1000, 20_000] {
            let operands: Vec<(Vec<usize>, usize)> = (0..count).map(|i| (vec![i], 0)).collect();
            let join = |(mut a, x): (Vec<usize>, usize), (b, y): (Vec<usize>, usize)| {
                a.extend(b);
                (a, x.max(y) + 1)
            };
            let (order, levels) = combine(operands, join).unwrap();
            assert!(order.is_sorted() && order.len() == count);
            assert_eq!(levels, height(count), "{count}");
        }
    }
}
