//! What is erased of an identity, in the transaction that stores the event which says so: all of it or nothing. The same for
//! both databases.

use weir_store_api::read::Decision;

use crate::fact::Erasure;
use crate::fold::Clock;

/// What becomes of a recipient of a campaign who is erased: a row without a name that is never sent to. Who is about to be
/// sent the message in this moment may get it; what became of that is noted all the same.
macro_rules! nameless {
    () => {
        "openid = 'erased ' || recipient_key, vals = '[]', erased = 1, retryable = 0, \
         reason = CASE WHEN outcome = 'sent' THEN reason ELSE 'erased' END, \
         outcome = CASE WHEN outcome IS NOT NULL THEN outcome WHEN begun_ms IS NULL THEN 'refused' ELSE 'unknown' END"
    };
}
pub(crate) use nameless;

macro_rules! nobody {
    () => {
        "(erased)"
    };
}
/// What stands in a job's request in the place of somebody who was erased: no openid.
pub(crate) const NOBODY: &str = nobody!();

/// The name of an identity, `$1`, as JSON.
macro_rules! named {
    () => {
        "(SELECT '\"' || u.openid || '\"' FROM users u WHERE u.user_key = $1)"
    };
}

/// Erases what was told of an identity, `$1`, up to the Unix second `$2`, beside its profile: its phone number, its messages
/// and what it allowed to be sent, the replies it got, whom messages went to, and the contents of all events about it. What
/// stays is that the events happened: their names are what makes repeating them harmless.
pub(super) const TOLD: [&str; 8] = [
    "DELETE FROM local_tagged WHERE user_key = $1 AND given_at <= $2",
    "DELETE FROM phones WHERE user_key = $1 AND at <= $2",
    "DELETE FROM messages WHERE user_key = $1 AND sent_at <= $2",
    "DELETE FROM credit_news WHERE at <= $2 AND credit_key IN (SELECT c.credit_key FROM users u CROSS JOIN credits c \
        WHERE u.user_key = $1 AND c.account_key = u.account_key AND c.openid = u.openid)",
    "DELETE FROM credits WHERE credit_key IN (SELECT c.credit_key FROM users u CROSS JOIN credits c \
        WHERE u.user_key = $1 AND c.account_key = u.account_key AND c.openid = u.openid \
        AND NOT EXISTS (SELECT 1 FROM credit_news n WHERE n.credit_key = c.credit_key AND n.at > $2))",
    "UPDATE work SET reply = NULL WHERE reply IS NOT NULL AND done_at_ms IS NOT NULL AND (source_key, push) IN \
        (SELECT e.source_key, e.id FROM users u CROSS JOIN events e \
        WHERE u.user_key = $1 AND e.account_key = u.account_key AND e.subject = u.openid AND e.at_ms / 1000 <= $2)",
    "UPDATE sends SET openid = NULL, client_msg_id = NULL WHERE seq IN (SELECT s.seq FROM users u CROSS JOIN sends s \
        WHERE u.user_key = $1 AND s.account_key = u.account_key AND s.openid = u.openid AND s.sent_at_ms / 1000 <= $2)",
    "UPDATE events SET data = NULL WHERE data IS NOT NULL AND seq IN (SELECT e.seq FROM users u CROSS JOIN events e \
        WHERE u.user_key = $1 AND e.account_key = u.account_key AND e.subject = u.openid AND e.at_ms / 1000 <= $2)",
];

/// Takes an identity, `$1`, out of all jobs, and notes when: a campaign that was asked for before does not take it in again.
/// By the database's clock alone, which jobs are asked for by. In a request that names it, its place stays, and
/// [`NOBODY`] stands there.
pub(super) const JOBS: [&str; 4] = [
    "INSERT INTO erasures (user_key, at_ms) SELECT CAST($1 AS BIGINT), c.now_ms FROM weir_clock c WHERE true \
     ON CONFLICT (user_key) DO UPDATE SET at_ms = excluded.at_ms",
    concat!(
        "UPDATE campaign_recipients SET ",
        nameless!(),
        " WHERE recipient_key IN (SELECT r.recipient_key FROM users u CROSS JOIN accounts a CROSS JOIN jobs j \
         CROSS JOIN campaign_recipients r WHERE u.user_key = $1 AND a.account_key = u.account_key \
         AND j.account = a.name AND j.kind = 'campaign' AND r.job_key = j.job_key AND r.openid = u.openid)"
    ),
    concat!(
        "UPDATE jobs SET request = replace(request, ",
        named!(),
        ", '\"",
        nobody!(),
        "\"'), counts = replace(counts, ",
        named!(),
        ", '\"",
        nobody!(),
        "\"') WHERE job_key IN (SELECT n.job_key FROM users u CROSS JOIN accounts a CROSS JOIN job_names n \
         WHERE u.user_key = $1 AND a.account_key = u.account_key AND n.account = a.name AND n.openid = u.openid)"
    ),
    "DELETE FROM job_names WHERE account = (SELECT a.name FROM users u JOIN accounts a ON a.account_key = u.account_key \
        WHERE u.user_key = $1) AND openid = (SELECT u.openid FROM users u WHERE u.user_key = $1)",
];

/// The cards that an identity, `$1`, has or had last.
pub(super) const CARDS: &str = "SELECT c.card_key, c.card FROM users u CROSS JOIN cards c \
    WHERE u.user_key = $1 AND c.account_key = u.account_key AND c.openid = u.openid ORDER BY c.card_id, c.code";
/// `$1` a card's key, `$2` what is left of it.
pub(super) const SAVE_CARD: &str = "UPDATE cards SET card = $2 WHERE card_key = $1";
/// Nobody asks WeChat about a card, `$1`, any more because of what happened before.
pub(super) const UNASK_CARD: &str = "DELETE FROM card_fetches WHERE card_key = $1";

/// What is erased of an identity by a batch.
#[derive(Debug, Default)]
pub(super) struct Erased<'a> {
    /// Everything up to this Unix second.
    pub(super) second: i64,
    /// The fields of applications, too.
    pub(super) fields: bool,
    /// What is to be noted about the person, and when in Unix milliseconds.
    pub(super) decision: Option<(&'a Decision, i64)>,
}

impl<'a> Erased<'a> {
    pub(super) fn add(&mut self, at: Clock, why: &'a Erasure) {
        self.second = self.second.max(at.second());
        match why {
            Erasure::Unfollow => {}
            Erasure::Demand(decision) => {
                self.fields = true;
                let decision = decision.as_deref();
                self.decision = decision
                    .map(|decision| (decision, at.millisecond()))
                    .or(self.decision);
            }
        }
    }
}
