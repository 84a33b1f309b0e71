//! Cards, last stored first.

use weir_store_api::read::{
    Card, CardAsking, CardAskingState, CardGiven, CardMember, CardTaken, CardUsed, Page,
};

use super::super::cards::card as parsed;
use super::{Cell, Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, milliseconds, page, person, seconds};
use crate::fold;

/// Which cards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CardFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Of this user.
    pub openid: Option<String>,
    /// Of this person, whatever account knows them.
    pub uid: Option<i64>,
    /// Of this sort.
    pub card_id: Option<String>,
}

macro_rules! statement {
    ($($part:literal),*) => {
        concat!(
            "SELECT c.card_key, a.name, c.card_id, c.code, c.card, q.wanted, q.due_ms, q.errcode, q.reason \
             FROM cards c LEFT JOIN card_fetches q ON q.card_key = c.card_key CROSS JOIN accounts a \
             WHERE a.account_key = c.account_key AND ",
            $($part),*
        )
    };
}

macro_rules! listing {
    ($condition:literal) => {
        statement!(
            $condition,
            "c.card_key < $1 ORDER BY c.card_key DESC LIMIT $2"
        )
    };
}

const ALL: &str = listing!("");
const BY_ACCOUNT: &str = listing!("c.account_key = $3 AND ");
const BY_CARD_ID: &str = listing!("c.account_key = $3 AND c.card_id = $4 AND ");
const BY_OPENID: &str = listing!("c.account_key = $3 AND c.openid = $4 AND ");
/// One user has few cards: few enough to look at each.
const BY_BOTH: &str = listing!("c.account_key = $3 AND c.openid = $4 AND c.card_id = $5 AND ");
const ONE: &str = statement!("c.card_id = $1 AND c.code = $2");

/// `$1` now, `$2` limit.
const DUE: &str = "SELECT card_key FROM card_fetches WHERE due_ms <= (SELECT now_ms FROM weir_clock) ORDER BY due_ms LIMIT $1";
const NAME: &str = "SELECT a.name, c.card_id, c.code FROM cards c CROSS JOIN accounts a \
     WHERE c.card_key = $1 AND a.account_key = c.account_key";

const FOLDED: &str = "SELECT c.card FROM accounts a CROSS JOIN cards c WHERE a.name = $1 \
     AND c.card_id = $2 AND c.code = $3 AND c.account_key = a.account_key";

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "SEARCH c USING INTEGER PRIMARY KEY (rowid<?)"),
    (
        BY_ACCOUNT,
        "cards_by_account (account_key=? AND card_key<?)",
    ),
    (
        BY_CARD_ID,
        "cards_by_card_id (account_key=? AND card_id=? AND card_key<?)",
    ),
    (
        BY_OPENID,
        "cards_by_openid (account_key=? AND openid=? AND card_key<?)",
    ),
    (
        BY_BOTH,
        "cards_by_openid (account_key=? AND openid=? AND card_key<?)",
    ),
    (ONE, "cards_by_name (card_id=? AND code=?)"),
    (DUE, "card_fetches_by_due (due_ms<?)"),
    (
        FOLDED,
        "cards_by_name (card_id=? AND code=? AND account_key=?)",
    ),
    (NAME, "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"),
];

/// A card with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its key in this database.
    pub card_key: i64,
    /// The card.
    pub card: Card,
}

/// A page of cards.
///
/// # Errors
/// The database did not answer.
pub async fn cards(
    repo: &dyn Repo,
    filter: &CardFilter,
    slice: Slice,
) -> Result<Page<Card>, RepoError> {
    let accounts = account_names(repo, filter.account.as_deref()).await?;
    let card_id = filter.card_id.as_deref();
    // Whose: for each account the openids, or everybody's.
    let mut owners: Vec<(i64, Option<String>)> = Vec::new();
    if let Some(uid) = filter.uid {
        let identities = person(repo, uid).await?.map(|person| person.identities);
        for known in identities.into_iter().flatten() {
            let user = known.user;
            let is_wanted = |openid: &String| *openid == user.openid;
            if filter.openid.as_ref().is_none_or(is_wanted) {
                let account = accounts.iter().find(|(_, name)| *name == user.account);
                owners.extend(account.map(|(key, _)| (*key, Some(user.openid))));
            }
        }
    } else {
        owners.extend(
            accounts
                .iter()
                .map(|(key, _)| (*key, filter.openid.clone())),
        );
    }
    let of_somebody = filter.uid.is_some() || filter.openid.is_some();
    let statement = match (of_somebody, card_id) {
        (false, None) if filter.account.is_none() => ALL,
        (false, None) => BY_ACCOUNT,
        (false, Some(_)) => BY_CARD_ID,
        (true, None) => BY_OPENID,
        (true, Some(_)) => BY_BOTH,
    };
    let branches = if statement == ALL {
        vec![vec![slice.after.minor.into(), slice.rows()]]
    } else {
        let branch = |(key, openid): (i64, Option<String>)| {
            let mut cells = vec![slice.after.minor.into(), slice.rows(), key.into()];
            cells.extend(openid.map(Cell::Text));
            cells.extend(card_id.map(Cell::from));
            cells
        };
        owners.into_iter().map(branch).collect()
    };
    let mut found = Vec::new();
    for mut row in repo.select(statement, branches).await? {
        let Found { card_key, card } = read(&mut row)?;
        let position = Position {
            major: 0,
            minor: card_key,
        };
        found.push((position, card));
    }
    Ok(page(found, Order::Cards, slice.limit))
}

/// The cards of this name: one, unless accounts share it.
///
/// # Errors
/// The database did not answer.
pub async fn card(
    repo: &dyn Repo,
    account: Option<&str>,
    card_id: &str,
    code: &str,
) -> Result<Vec<Found>, RepoError> {
    let rows = repo
        .select(ONE, vec![vec![card_id.into(), code.into()]])
        .await?;
    let found = rows.into_iter().map(|mut row| read(&mut row));
    let is_wanted = |found: &Found| account.is_none_or(|account| account == found.card.account);
    found
        .filter(|found| found.as_ref().map_or(true, is_wanted))
        .collect()
}

/// The keys of cards that WeChat is to be asked about now, by the database's clock, those that have waited longest first.
///
/// # Errors
/// The database did not answer.
pub async fn due_cards(repo: &dyn Repo, limit: i64) -> Result<Vec<i64>, RepoError> {
    let rows = repo.select(DUE, vec![vec![limit.into()]]).await?;
    rows.into_iter().map(|mut row| row.some_int()).collect()
}

/// The account, card id and code behind a key.
///
/// # Errors
/// The database did not answer.
pub async fn card_name(
    repo: &dyn Repo,
    card_key: i64,
) -> Result<Option<(String, String, String)>, RepoError> {
    let rows = repo.select(NAME, vec![vec![card_key.into()]]).await?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok(None);
    };
    Ok(Some((row.some_text()?, row.some_text()?, row.some_text()?)))
}

/// All that is known of a card.
///
/// # Errors
/// The database did not answer.
pub async fn folded_card(
    repo: &dyn Repo,
    account: &str,
    card_id: &str,
    code: &str,
) -> Result<Option<fold::Card>, RepoError> {
    let name = vec![account.into(), card_id.into(), code.into()];
    let rows = repo.select(FOLDED, vec![name]).await?;
    let mut cards = rows.into_iter().map(|mut row| parsed(&row.some_text()?));
    cards.next().transpose()
}

/// Reads the columns of a `statement!`.
fn read(row: &mut Row) -> Result<Found, RepoError> {
    let card_key = row.some_int()?;
    let (account, card_id, code) = (row.some_text()?, row.some_text()?, row.some_text()?);
    let card = parsed(&row.some_text()?)?;
    let is_asked = row.int()?.is_some();
    let (due_ms, errcode, reason) = (row.int()?, row.int()?, row.text()?);
    let asking = is_asked.then_some(CardAsking {
        state: due_ms.map_or(CardAskingState::Refused, |_| CardAskingState::Open),
        errcode,
        reason,
    });
    let taken = card.taking().map(|(at, taking)| CardTaken {
        at: seconds(at),
        friend: taking.friend.clone(),
        old_code: taking.old_code.clone(),
        channel: taking.channel.clone(),
        scene: taking.scene.clone(),
        restored: taking.restored,
    });
    let card = Card {
        account,
        card_id,
        code,
        openid: card.holder().map(str::to_owned),
        state: card.state(),
        member: card.told().map(|(at_ms, told)| member(at_ms, told)),
        bonus: card.bonus(),
        balance: card.balance(),
        first_seen_at: seconds(card.first_seen()),
        taken,
        given: card.giving().map(|giving| CardGiven {
            openid: giving.openid.clone(),
            code: giving.code.clone(),
        }),
        used: card.used().map(|(at, by)| CardUsed {
            at: seconds(at),
            by: by.map(str::to_owned),
        }),
        form_submitted_at: card.submitted().map(seconds),
        activated_at: card.activated().map(seconds),
        viewed_at: card.viewed().map(seconds),
        asking,
    };
    Ok(Found { card_key, card })
}

fn member(at_ms: i64, told: &fold::CardTold) -> CardMember {
    CardMember {
        at: milliseconds(at_ms),
        status: told.status.clone(),
        active: told.active,
        membership_number: told.membership_number.clone(),
        nickname: told.nickname.clone(),
        sex: told.sex.clone(),
        common_fields: told.common.clone(),
        custom_fields: told.custom.clone(),
    }
}
