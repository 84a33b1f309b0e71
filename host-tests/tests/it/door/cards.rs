//! Member cards: what WeChat pushes, what only its API tells, and what the store shows of both.

use anyhow::{Context, Result};
use serde_json::json;
use weir_host_tests::{Gateway, World, eventually, somebody};
use weir_sim::api::{Card, FaultRule, Then};
use weir_sim::{Push, UserSees};
use weir_store_api::read::{CardAskingState, CardDetail, FormValue};

use super::open_in;

const CARD: &str = "pbLatjtZ7v1BG_ZnTjbW85GYc_E8";
const USER_INFO: &str = "/card/membercard/userinfo/get";

/// A card with a form, at WeChat.
fn filled_in(openid: &str) -> Card {
    let mobile = json!({"name": "USER_FORM_INFO_FLAG_MOBILE", "value": "15521328888"});
    let hobbies = json!({"name": "兴趣", "value_list": ["钓鱼🎣", "看书"]});
    Card {
        openid: openid.to_owned(),
        nickname: "小明🌊".to_owned(),
        membership_number: "316510891".to_owned(),
        bonus: 100,
        common_field_list: vec![mobile],
        custom_field_list: vec![hobbies],
        has_active: true,
        ..Card::default()
    }
}

/// WeChat pushes something about the card, and is answered.
async fn push<G: Gateway>(world: &World<G>, event: &str, openid: &str, code: &str) -> Result<()> {
    let push = Push::event(&world.account, openid, event)
        .field("CardId", CARD)
        .field("UserCardCode", code);
    let exchange = world.sender()?.push(&push).await;
    assert!(matches!(exchange.reply, UserSees::Nothing), "{exchange:?}");
    Ok(())
}

/// The card in the store, once that is so.
async fn card<G: Gateway>(
    world: &World<G>,
    code: &str,
    is_so: impl Fn(&CardDetail) -> bool,
) -> Result<CardDetail> {
    let path = format!("/v1/cards/{CARD}/{code}");
    eventually("the card is in the store", async || {
        let card: Option<CardDetail> = world.read(&path).await?;
        Ok(card.filter(&is_so))
    })
    .await
}

pub(crate) async fn a_form_that_was_filled_in_is_fetched_through_the_door_and_shown<G: Gateway>()
-> Result<()> {
    let Some(mut world) = open_in::<G>("cards", |_| {}).await? else {
        return Ok(());
    };
    world.store_asks_wechat()?;
    let openid = somebody();
    world
        .api()
        .put_card("demo", CARD, "018255396048", filled_in(&openid))?;
    // Other people fetch tokens: the door, and not the store, finds out and asks again.
    push(&world, "user_get_card", &openid, "018255396048").await?;
    push(
        &world,
        "submit_membercard_user_info",
        &openid,
        "018255396048",
    )
    .await?;
    let is_told = |card: &CardDetail| card.card.member.is_some() && card.card.asking.is_none();
    let shown = card(&world, "018255396048", is_told).await?.card;
    assert_eq!(shown.openid.as_deref(), Some(openid.as_str()));
    assert_eq!(shown.bonus, Some(100));
    assert!(shown.taken.is_some() && shown.form_submitted_at.is_some());
    let member = shown.member.context("WeChat told")?;
    assert_eq!(member.membership_number.as_deref(), Some("316510891"));
    let mobile = FormValue::One("15521328888".to_owned());
    assert_eq!(member.common_fields.get("mobile"), Some(&mobile));
    let hobbies = FormValue::Many(vec!["钓鱼🎣".to_owned(), "看书".to_owned()]);
    assert_eq!(member.custom_fields.get("兴趣"), Some(&hobbies));
    assert_eq!(world.api().ledger().count(USER_INFO), 1);

    // On demand it is as new as WeChat has it, and a card that WeChat does not know is none.
    let changed = Card {
        bonus: 70,
        ..filled_in(&openid)
    };
    world
        .api()
        .put_card("demo", CARD, "018255396048", changed)?;
    world.api().invalidate_tokens("demo", None)?;
    let path = format!("/v1/cards/{CARD}/018255396048?refresh=true");
    let new: CardDetail = world.read(&path).await?.context("it is there")?;
    assert_eq!((new.card.bonus, new.warning), (Some(70), None));
    let path = format!("/v1/cards/{CARD}/1?account=demo&refresh=true");
    let unknown: Option<CardDetail> = world.read(&path).await?;
    assert!(unknown.is_none(), "{unknown:?}");
    Ok(())
}

pub(crate) async fn what_was_to_be_fetched_is_fetched_by_the_store_that_comes_after_a_killed_one<
    G: Gateway,
>() -> Result<()> {
    let Some(mut world) = open_in::<G>("cards-killed", |_| {}).await? else {
        return Ok(());
    };
    world.store_asks_wechat()?;
    let openid = somebody();
    world
        .api()
        .inject(FaultRule::next(USER_INFO, 1_000, Then::Errcode(-1)));
    for code in ["1", "2", "3"] {
        world
            .api()
            .put_card("demo", CARD, code, filled_in(&openid))?;
        push(&world, "submit_membercard_user_info", &openid, code).await?;
        let is_tried = |card: &CardDetail| {
            let asking = card.card.asking.as_ref();
            asking.is_some_and(|asking| {
                asking.state == CardAskingState::Open && asking.errcode == Some(-1)
            })
        };
        card(&world, code, is_tried).await?;
    }
    world.store_killed()?;
    world.api().clear_faults();
    world.store_up()?;
    for code in ["1", "2", "3"] {
        let shown = card(&world, code, |card| card.card.member.is_some()).await?;
        assert_eq!(shown.card.bonus, Some(100));
    }
    Ok(())
}
