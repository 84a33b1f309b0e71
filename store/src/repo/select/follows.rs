//! Who came and went, by day.

use std::ops::Range;

use super::{Repo, RepoError};

/// Beijing is this far ahead, in seconds, all the year.
const BEIJING_S: i64 = 8 * 3_600;
/// A day, in seconds.
const DAY_S: i64 = 86_400;

/// `$1` account, `$2` from, `$3` until, in Unix seconds. 28800 is how far Beijing is ahead.
pub(super) const DAILY: &str = "SELECT (at + 28800) / 86400, change, count(*) FROM follow_news \
    WHERE account_key = $1 AND at >= $2 AND at < $3 GROUP BY 1, 2";

/// Follows and unfollows that were pushed, of each day; days are counted from 1970-01-01, in Beijing.
///
/// # Errors
/// The database did not answer.
pub async fn daily_follows(
    repo: &dyn Repo,
    account_key: i64,
    days: Range<i64>,
) -> Result<Vec<(i64, u64, u64)>, RepoError> {
    let mut counts: Vec<(i64, u64, u64)> = days.clone().map(|day| (day, 0, 0)).collect();
    let second = |day: i64| day.saturating_mul(DAY_S) - BEIJING_S;
    let parameters = vec![
        account_key.into(),
        second(days.start).into(),
        second(days.end).into(),
    ];
    for mut row in repo.select(DAILY, vec![parameters]).await? {
        let (day, change, count) = (
            row.some_int()?,
            row.some_int()?,
            row.some_int()?.unsigned_abs(),
        );
        let place = usize::try_from(day - days.start).ok();
        if let Some((_, new, lost)) = place.and_then(|place| counts.get_mut(place)) {
            *(if change == 1 { new } else { lost }) += count;
        }
    }
    Ok(counts)
}
