//! What a batch asks of PostgreSQL. Rows travel as arrays or, where they are rare and wide, as JSON.

use tokio_postgres::{Client, Statement};

use super::super::person::person_columns;
use super::super::work::entry_columns;

/// Declares the statements of a batch, prepared once per session.
macro_rules! statements {
    ($($name:ident: $sql:expr),* $(,)?) => {
        /// The statements of a batch.
        pub(super) struct Statements { $(pub(super) $name: Statement),* }

        impl Statements {
            pub(super) async fn prepare(client: &Client) -> Result<Self, tokio_postgres::Error> {
                $(let $name = client.prepare($sql);)*
                let ($($name),*) = tokio::try_join!($($name),*)?;
                Ok(Self { $($name),* })
            }
        }
    };
}

statements! {
    add_sources: "INSERT INTO sources (source) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
    find_sources: "SELECT source_key, source FROM sources WHERE source = ANY ($1::text[])",
    add_accounts: "INSERT INTO accounts (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING",
    find_accounts: "SELECT account_key, name FROM accounts WHERE name = ANY ($1::text[])",
    note_appids: "INSERT INTO account_appids (account_key, appid, first_seen_at) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) \
        ON CONFLICT (account_key, appid) \
        DO UPDATE SET first_seen_at = least(account_appids.first_seen_at, excluded.first_seen_at)",
    insert_events: "INSERT INTO events (source_key, id, type, at_ms, subject, data, account_key, stored_at_ms) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], \
                             $7::bigint[], $8::bigint[]) \
        ON CONFLICT (source_key, id) DO NOTHING RETURNING source_key, id, seq",
    find_users: "SELECT u.account_key, u.openid, u.user_key, u.first_seen_at \
        FROM unnest($1::bigint[], $2::text[]) k (account_key, openid) \
        JOIN users u ON u.account_key = k.account_key AND u.openid = k.openid",
    add_users: "INSERT INTO users (account_key, openid, first_seen_at) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[]) \
        ON CONFLICT (account_key, openid) DO NOTHING RETURNING account_key, openid, user_key, first_seen_at",
    lock_users: "SELECT 1 FROM users WHERE user_key = ANY ($1::bigint[]) ORDER BY user_key FOR UPDATE",
    load_people: concat!(
        "SELECT u.user_key, ", person_columns!(),
        " FROM users u LEFT JOIN follows f ON f.user_key = u.user_key WHERE u.user_key = ANY ($1::bigint[])"),
    see_earlier: "UPDATE users u SET first_seen_at = k.first_seen_at \
        FROM unnest($1::bigint[], $2::bigint[]) k (user_key, first_seen_at) \
        WHERE u.user_key = k.user_key AND u.first_seen_at > k.first_seen_at",
    save_profiles: "UPDATE users u SET subscribe = p.subscribe, nickname = p.nickname, sex = p.sex, \
            language = p.language, city = p.city, province = p.province, country = p.country, \
            headimgurl = p.headimgurl, subscribe_time = p.subscribe_time, unionid = p.unionid, remark = p.remark, \
            groupid = p.groupid, tagid_list = p.tagid_list, subscribe_scene = p.subscribe_scene, \
            qr_scene = p.qr_scene, qr_scene_str = p.qr_scene_str, profile_at_ms = p.profile_at_ms, \
            profile_clocks = p.profile_clocks \
        FROM json_to_recordset($1::text::json) AS p (user_key bigint, subscribe bigint, nickname text, sex bigint, \
            language text, city text, province text, country text, headimgurl text, subscribe_time bigint, \
            unionid text, remark text, groupid bigint, tagid_list text, subscribe_scene text, qr_scene bigint, \
            qr_scene_str text, profile_at_ms bigint, profile_clocks text) \
        WHERE u.user_key = p.user_key",
    save_follows: "INSERT INTO follows (user_key, account_key, state, since, until, scene, subscribe_scene, \
            followed_times, unfollowed_times, evidence) \
        SELECT user_key, account_key, state, since, until, scene, subscribe_scene, followed_times, \
            unfollowed_times, evidence \
        FROM json_to_recordset($1::text::json) AS f (user_key bigint, account_key bigint, state bigint, since bigint, \
            until bigint, scene text, subscribe_scene text, followed_times bigint, unfollowed_times bigint, \
            evidence text) \
        ON CONFLICT (user_key) DO UPDATE SET state = excluded.state, since = excluded.since, \
            until = excluded.until, scene = excluded.scene, subscribe_scene = excluded.subscribe_scene, \
            followed_times = excluded.followed_times, unfollowed_times = excluded.unfollowed_times, \
            evidence = excluded.evidence",
    insert_messages: "INSERT INTO messages (seq, account_key, user_key, kind, sent_at, received_ms, msg_id, text) \
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[], \
                             $7::text[], $8::text[])",
    insert_follow_news: "INSERT INTO follow_news (seq, account_key, at, change) \
        SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[])",
    add_work: "INSERT INTO work (source_key, push, account_key, openid, claimed_at_ms, claimant, held_at_ms, lease_ms, \
            done_at_ms, app, reply, create_time, failed, handed, sender, ended_at_ms, reason, errcode, state) \
        SELECT source_key, push, account_key, openid, claimed_at_ms, claimant, held_at_ms, lease_ms, \
            done_at_ms, app, reply, create_time, failed, handed, sender, ended_at_ms, reason, errcode, state \
        FROM json_populate_recordset(NULL::work, $1::text::json) \
        ON CONFLICT (source_key, push) DO NOTHING RETURNING source_key, push",
    lock_work: concat!(
        "SELECT w.source_key, w.push, ", entry_columns!(),
        " FROM unnest($1::bigint[], $2::text[]) k (source_key, push) \
        JOIN work w ON w.source_key = k.source_key AND w.push = k.push \
        ORDER BY w.source_key, w.push FOR UPDATE OF w"),
    save_work: "UPDATE work w SET account_key = p.account_key, openid = p.openid, claimed_at_ms = p.claimed_at_ms, \
            claimant = p.claimant, held_at_ms = p.held_at_ms, lease_ms = p.lease_ms, done_at_ms = p.done_at_ms, \
            app = p.app, reply = p.reply, create_time = p.create_time, failed = p.failed, handed = p.handed, \
            sender = p.sender, ended_at_ms = p.ended_at_ms, reason = p.reason, errcode = p.errcode, state = p.state \
        FROM json_populate_recordset(NULL::work, $1::text::json) p \
        WHERE w.source_key = p.source_key AND w.push = p.push",
    insert_sends: "INSERT INTO sends (seq, account_key, appid, openid, client, api, template_id, msgtype, \
            client_msg_id, digest, errcode, msgid, outcome, sent_at_ms) \
        SELECT seq, account_key, appid, openid, client, api, template_id, msgtype, client_msg_id, digest, errcode, \
            msgid, outcome, sent_at_ms \
        FROM json_populate_recordset(NULL::sends, $1::text::json) ON CONFLICT (seq) DO NOTHING",
    save_reports: "INSERT INTO reports (account_key, msgid, failure, at, at_ms, tie) \
        SELECT account_key, msgid, failure, at, at_ms, tie \
        FROM json_populate_recordset(NULL::reports, $1::text::json) \
        ON CONFLICT (account_key, msgid) DO UPDATE SET failure = excluded.failure, at = excluded.at, \
            at_ms = excluded.at_ms, tie = excluded.tie \
        WHERE (excluded.at, excluded.at_ms, excluded.tie) > (reports.at, reports.at_ms, reports.tie)",
    save_unions: "INSERT INTO unions (user_key, unionid, at, at_ms, tie) \
        SELECT user_key, unionid, at, at_ms, tie FROM json_populate_recordset(NULL::unions, $1::text::json) \
        ON CONFLICT (user_key, unionid) DO UPDATE SET at = excluded.at, at_ms = excluded.at_ms, tie = excluded.tie \
        WHERE (excluded.at, excluded.at_ms, excluded.tie) < (unions.at, unions.at_ms, unions.tie)",
    save_logins: "INSERT INTO logins (user_key, first_at, last_at) \
        SELECT user_key, first_at, last_at FROM json_populate_recordset(NULL::logins, $1::text::json) \
        ON CONFLICT (user_key) DO UPDATE SET first_at = least(logins.first_at, excluded.first_at), \
            last_at = greatest(logins.last_at, excluded.last_at)",
    save_phones: "INSERT INTO phones (user_key, phone_number, pure_phone_number, country_code, at, at_ms, tie) \
        SELECT user_key, phone_number, pure_phone_number, country_code, at, at_ms, tie \
        FROM json_populate_recordset(NULL::phones, $1::text::json) \
        ON CONFLICT (user_key) DO UPDATE SET phone_number = excluded.phone_number, \
            pure_phone_number = excluded.pure_phone_number, country_code = excluded.country_code, \
            at = excluded.at, at_ms = excluded.at_ms, tie = excluded.tie \
        WHERE (excluded.at, excluded.at_ms, excluded.tie) > (phones.at, phones.at_ms, phones.tie)",
    save_blacklist: "INSERT INTO blacklist (user_key, account_key, listed, at, at_ms, tie) \
        SELECT p.user_key, u.account_key, p.listed, p.at, p.at_ms, p.tie \
        FROM json_populate_recordset(NULL::blacklist, $1::text::json) p JOIN users u ON u.user_key = p.user_key \
        ORDER BY p.user_key \
        ON CONFLICT (user_key) DO UPDATE SET listed = excluded.listed, at = excluded.at, at_ms = excluded.at_ms, tie = excluded.tie \
        WHERE (excluded.at, excluded.at_ms, excluded.tie) > (blacklist.at, blacklist.at_ms, blacklist.tie)",
    add_cards: "INSERT INTO cards (card_id, code, account_key, card) \
        SELECT k.card_id, k.code, k.account_key, $4::text \
        FROM unnest($1::text[], $2::text[], $3::bigint[]) k (card_id, code, account_key) ON CONFLICT DO NOTHING",
    lock_cards: "SELECT c.card_id, c.code, c.account_key, c.card_key, c.card \
        FROM unnest($1::text[], $2::text[], $3::bigint[]) k (card_id, code, account_key) \
        JOIN cards c ON c.card_id = k.card_id AND c.code = k.code AND c.account_key = k.account_key \
        ORDER BY c.card_id, c.code, c.account_key FOR UPDATE OF c",
    save_cards: "UPDATE cards c SET openid = p.openid, card = p.card \
        FROM json_populate_recordset(NULL::cards, $1::text::json) p WHERE c.card_key = p.card_key",
    want_cards: "INSERT INTO card_fetches (card_key, wanted, due_ms, tries) \
        SELECT k.card_key, 1, 0, 0 FROM unnest($1::bigint[]) k (card_key) ORDER BY k.card_key \
        ON CONFLICT (card_key) DO UPDATE SET wanted = card_fetches.wanted + 1, due_ms = 0, tries = 0",
    add_credits: "INSERT INTO credits (account_key, openid, template_id) \
        SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING",
    find_credits: "SELECT c.account_key, c.openid, c.template_id, c.credit_key \
        FROM unnest($1::bigint[], $2::text[], $3::text[]) k (account_key, openid, template_id) \
        JOIN credits c ON c.account_key = k.account_key AND c.openid = k.openid AND c.template_id = k.template_id",
    insert_credit_news: "INSERT INTO credit_news (credit_key, seq, place, change, msgid, at, at_ms, tie) \
        SELECT credit_key, seq, place, change, msgid, at, at_ms, tie \
        FROM json_populate_recordset(NULL::credit_news, $1::text::json) ON CONFLICT (credit_key, seq, place) DO NOTHING",
}
