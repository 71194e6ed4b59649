//! Perfect matchings: a fitting video for each URL. Must never leave one over.

/// Pairs each of `left` with one of `right` that fits it, so that none is left over. Returns none if that is
/// impossible.
///
/// If there are several matchings, the result depends only on the order of the arguments. Takes time in proportion to
/// the cube of their number, which is at most that of a task's URLs.
pub(super) fn perfect_matching(
    left: &[usize],
    right: &[usize],
    fits: impl Fn(usize, usize) -> bool,
) -> Option<Vec<(usize, usize)>> {
    if left.len() != right.len() {
        return None;
    }
    let mut matching = Matching { left, right, fits, partner: vec![None; right.len()] };
    for place in 0..left.len() {
        let mut tried = vec![false; right.len()];
        if !matching.find_partner(place, &mut tried) {
            return None;
        }
    }
    let pairs = matching.partner.iter().zip(right);
    let mut pairs: Vec<_> = pairs.filter_map(|(place, &right)| Some(((*place)?, right))).collect();
    pairs.sort_unstable();
    Some(pairs.into_iter().map(|(place, right)| (left[place], right)).collect())
}

struct Matching<'a, F> {
    left: &'a [usize],
    right: &'a [usize],
    fits: F,
    /// For each on the right, the place of its partner on the left.
    partner: Vec<Option<usize>>,
}

impl<F: Fn(usize, usize) -> bool> Matching<'_, F> {
    /// Finds a partner for this one: a free one, or a taken one whose partner can have another.
    fn find_partner(&mut self, place: usize, tried: &mut [bool]) -> bool {
        let fitting = (0..self.right.len()).filter(|&other| (self.fits)(self.left[place], self.right[other]));
        let fitting: Vec<usize> = fitting.collect();
        if let Some(&free) = fitting.iter().find(|&&other| self.partner[other].is_none()) {
            self.partner[free] = Some(place);
            return true;
        }
        for other in fitting {
            if std::mem::replace(&mut tried[other], true) {
                continue;
            }
            if self.partner[other].is_some_and(|rival| self.find_partner(rival, tried)) {
                self.partner[other] = Some(place);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_left_over_or_alone() {
        assert_eq!(perfect_matching(&[], &[], |_, _| true), Some(vec![]));
        assert_eq!(perfect_matching(&[1], &[], |_, _| true), None);
        assert_eq!(perfect_matching(&[1], &[5, 6], |_, _| true), None);
        assert_eq!(perfect_matching(&[1, 2], &[6, 5], |_, _| true), Some(vec![(1, 6), (2, 5)]));
        assert_eq!(perfect_matching(&[1, 2], &[5, 6], |_, right| right == 5), None);
    }

    #[test]
    fn a_partner_is_given_up_for_somebody_who_has_no_other() {
        let fits = |left, right| matches!((left, right), (1, 5) | (1, 6) | (2, 5) | (2, 7) | (3, 5));
        assert_eq!(perfect_matching(&[1, 2, 3], &[5, 6, 7], fits), Some(vec![(1, 6), (2, 7), (3, 5)]));
    }

    #[test]
    fn a_matching_is_found_exactly_if_there_is_one() {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for graph in 0..1_u32 << 9 {
            let fits = |left: usize, right: usize| graph >> (left * 3 + right) & 1 == 1;
            let exists = orders.iter().any(|order| (0..3).all(|left| fits(left, order[left])));
            let found = perfect_matching(&[0, 1, 2], &[0, 1, 2], fits);
            assert_eq!(found.is_some(), exists, "{graph:b}");
            assert!(found.into_iter().flatten().all(|(left, right)| fits(left, right)), "{graph:b}");
        }
    }
}
