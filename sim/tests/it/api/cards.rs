//! Member cards.

use serde_json::{Value, json};

use super::{World, errcode};

const CARD: &str = "/_sim/accounts/demo/cards/p1/226009850808";

async fn call(world: &World, token: &str, path: &str, body: Value) -> Value {
    let auth = [("access_token", token)];
    world
        .call("POST", &format!("/card/{path}"), &auth, &body)
        .await
}

#[tokio::test]
async fn a_member_card_is_shown_with_what_its_user_filled_in() {
    let world = World::start().await;
    let token = world.token().await;
    let mobile = json!({"name": "USER_FORM_INFO_FLAG_MOBILE", "value": "15521328888"});
    let card =
        json!({"openid": "o1", "nickname": "Band🎸", "bonus": 100, "common_field_list": [mobile]});
    world.set("PUT", CARD, card).await;
    let name = json!({"card_id": "p1", "code": "226009850808"});
    let shown = call(&world, &token, "membercard/userinfo/get", name.clone()).await;
    assert_eq!(
        shown,
        json!({
            "errcode": 0, "errmsg": "ok", "openid": "o1", "nickname": "Band🎸", "membership_number": "226009850808",
            "bonus": 100, "balance": 0, "sex": "UNKNOWN",
            "user_info": {"common_field_list": [mobile], "custom_field_list": []},
            "user_card_status": "NORMAL", "has_active": false,
        })
    );

    let mut activation = name.clone();
    activation["membership_number"] = json!("316510891");
    activation["init_balance"] = json!(500);
    let done = call(&world, &token, "membercard/activate", activation).await;
    assert_eq!(errcode(&done), 0);
    // The code alone is enough while there is one card with it.
    let change = json!({"code": "226009850808", "add_bonus": -30, "balance": 7});
    let changed = call(&world, &token, "membercard/updateuser", change).await;
    assert_eq!(
        (&changed["result_bonus"], &changed["result_balance"]),
        (&json!(70), &json!(7))
    );
    let shown = call(&world, &token, "membercard/userinfo/get", name.clone()).await;
    assert_eq!(
        (&shown["bonus"], &shown["has_active"]),
        (&json!(70), &json!(true))
    );
    assert_eq!(shown["membership_number"], "316510891");
    let code = call(&world, &token, "code/get", json!({"code": "226009850808"})).await;
    assert_eq!(
        (&code["card"]["card_id"], &code["can_consume"]),
        (&json!("p1"), &json!(true))
    );
}

#[tokio::test]
async fn a_card_that_cannot_be_used_is_refused_with_the_reason() {
    let world = World::start().await;
    let token = world.token().await;
    world
        .set("PUT", CARD, json!({"user_card_status": "DELETE"}))
        .await;
    for (card_id, code, expected) in [
        ("p1", "226009850808", 40127),
        ("p1", "1", 40056),
        ("p2", "226009850808", 40073),
    ] {
        let name = json!({"card_id": card_id, "code": code});
        let refused = call(&world, &token, "membercard/userinfo/get", name).await;
        assert_eq!(errcode(&refused), expected, "{card_id} {code}");
    }
    let without_number = json!({"card_id": "p1", "code": "226009850808"});
    let refused = call(&world, &token, "membercard/activate", without_number).await;
    assert_eq!(errcode(&refused), 40097);
    let missing = world
        .control("GET", "/_sim/accounts/demo/cards/p1/2", Value::Null)
        .await;
    assert_eq!(missing.status, 404);
}
