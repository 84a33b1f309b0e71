//! Web logins: what a page's server meets after it sent a browser to `open.weixin.qq.com`.

use std::time::Duration;

use serde_json::{Value, json};
use weir_sim::api::{NotAuthorised, Profile};

use super::{World, errcode};

impl World {
    fn authorize_url(&self, scope: &str) -> String {
        format!(
            "https://open.weixin.qq.com/connect/oauth2/authorize?appid={}&redirect_uri=https%3A%2F%2Fshop.example%2Fin\
             &response_type=code&scope={scope}&state=s1#wechat_redirect",
            self.account.appid
        )
    }

    /// The code of somebody who came back.
    fn code(&self, scope: &str, openid: &str) -> String {
        let url = self.authorize_url(scope);
        let back = self.server.world().authorize(&url, openid).unwrap();
        code_of(&back)
    }

    async fn sns(&self, path: &str, query: &[(&str, &str)]) -> Value {
        self.call("GET", path, query, &Value::Null).await
    }

    async fn exchange(&self, code: &str) -> Value {
        let query = [
            ("appid", self.account.appid.as_str()),
            ("secret", self.account.secret.as_str()),
            ("code", code),
            ("grant_type", "authorization_code"),
        ];
        self.sns("/sns/oauth2/access_token", &query).await
    }

    async fn refresh(&self, token: &str) -> Value {
        let query = [
            ("appid", self.account.appid.as_str()),
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
        ];
        self.sns("/sns/oauth2/refresh_token", &query).await
    }

    async fn of_visitor(&self, path: &str, token: &str, openid: &str) -> Value {
        let query = [
            ("access_token", token),
            ("openid", openid),
            ("lang", "zh_CN"),
        ];
        self.sns(path, &query).await
    }

    fn pass(&self, seconds: u64) {
        let clock = self.server.world().clock();
        clock.advance(Duration::from_secs(seconds));
    }
}

fn code_of(back: &str) -> String {
    let code = back.strip_prefix("https://shop.example/in?code=");
    code.and_then(|rest| rest.strip_suffix("&state=s1"))
        .unwrap_or_else(|| panic!("{back}"))
        .to_owned()
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_visitor_who_agrees_shows_the_profile_and_one_who_was_not_asked_does_not() {
    let world = World::start().await;
    let sim = world.server.world();
    sim.set_unionid("demo", "o1", "u1").unwrap();
    let base = world.exchange(&world.code("snsapi_base", "o1")).await;
    let token = text(&base, "access_token");
    assert_eq!(
        base,
        json!({"access_token": token, "expires_in": 7200, "refresh_token": base["refresh_token"],
               "openid": "o1", "scope": "snsapi_base"})
    );
    let info = world.of_visitor("/sns/userinfo", token, "o1").await;
    assert_eq!(errcode(&info), 48001);
    let auth = world.of_visitor("/sns/auth", token, "o1").await;
    assert_eq!(auth, json!({"errcode": 0, "errmsg": "ok"}));

    let full = world.exchange(&world.code("snsapi_userinfo", "o1")).await;
    assert_eq!(
        (&full["scope"], &full["unionid"]),
        (&json!("snsapi_userinfo"), &json!("u1"))
    );
    let token = text(&full, "access_token");
    assert_eq!(
        world.of_visitor("/sns/userinfo", token, "o1").await,
        json!({"openid": "o1", "nickname": "微信用户", "sex": 0, "province": "", "city": "", "country": "",
               "headimgurl": "", "privilege": [], "unionid": "u1"})
    );
    let profile = Profile {
        nickname: Some("小明🌊".into()),
        headimgurl: Some("https://thirdwx.qlogo.cn/x/132".into()),
        ..Profile::default()
    };
    sim.set_profile("demo", "o1", profile).unwrap();
    assert_eq!(
        world.of_visitor("/sns/userinfo", token, "o1").await,
        json!({"openid": "o1", "nickname": "小明🌊", "sex": 0, "province": "", "city": "", "country": "",
               "headimgurl": "https://thirdwx.qlogo.cn/x/132", "privilege": []})
    );
    assert_eq!(sim.ledger().count("/sns/userinfo"), 3);
    assert_eq!(sim.ledger().count("/sns/oauth2/access_token"), 2);
}

#[tokio::test]
async fn a_users_token_and_the_accounts_are_two_things() {
    let world = World::start().await;
    let accounts = world.token().await;
    let grant = world.exchange(&world.code("snsapi_userinfo", "o1")).await;
    let users = text(&grant, "access_token");
    for path in ["/sns/userinfo", "/sns/auth"] {
        for (expected, token, openid) in [
            (40001, accounts.as_str(), "o1"),
            (40001, "never", "o1"),
            (40003, users, "o2"),
            (41001, "", "o1"),
            (41009, users, ""),
            (0, users, "o1"),
        ] {
            let answer = world.of_visitor(path, token, openid).await;
            assert_eq!(errcode(&answer), expected, "{path}");
        }
    }
    assert_eq!(errcode(&world.info(users, "o1").await), 40001);
}

#[tokio::test]
async fn a_code_is_exchanged_once_by_its_account_and_within_five_minutes() {
    let world = World::start().await;
    let code = world.code("snsapi_base", "o1");
    assert_eq!(errcode(&world.exchange(&code).await), 0);
    assert_eq!(errcode(&world.exchange(&code).await), 40163);
    let of_wx_login = world.server.world().js_code("demo", "o1").unwrap();
    assert_eq!(errcode(&world.exchange(&of_wx_login).await), 40029);
    let late = world.code("snsapi_base", "o1");
    world.pass(300);
    assert_eq!(errcode(&world.exchange(&late).await), 42003);

    let code = world.code("snsapi_base", "o1");
    let right = [
        ("appid", world.account.appid.as_str()),
        ("secret", world.account.secret.as_str()),
        ("code", code.as_str()),
        ("grant_type", "authorization_code"),
    ];
    for (index, without, wrong) in [
        (0, 41002, 40013),
        (1, 41004, 40125),
        (2, 41008, 40029),
        (3, 40002, 40002),
    ] {
        for (value, expected) in [("", without), ("wrong", wrong)] {
            let mut query = right;
            query[index].1 = value;
            let answer = world.sns("/sns/oauth2/access_token", &query).await;
            assert_eq!(errcode(&answer), expected);
        }
    }
    assert_eq!(errcode(&world.exchange(&code).await), 0);
}

#[tokio::test]
async fn a_refresh_prolongs_a_token_that_lives_and_replaces_one_that_does_not() {
    let world = World::start().await;
    let first = world.exchange(&world.code("snsapi_base", "o1")).await;
    let (token, refresh) = (text(&first, "access_token"), text(&first, "refresh_token"));
    world.pass(7000);
    assert_eq!(world.refresh(refresh).await, first);
    world.pass(7000);
    let auth = async |token| errcode(&world.of_visitor("/sns/auth", token, "o1").await);
    assert_eq!(auth(token).await, 0, "prolonged");
    world.pass(200);
    assert_eq!(auth(token).await, 42001);
    let next = world.refresh(refresh).await;
    assert_eq!(next["refresh_token"], first["refresh_token"]);
    assert_ne!(next["access_token"], first["access_token"]);
    assert_eq!(auth(text(&next, "access_token")).await, 0);
    assert_eq!(auth(token).await, 40001, "replaced");

    assert_eq!(errcode(&world.refresh("never").await), 40030);
    assert_eq!(errcode(&world.refresh("").await), 41003);
    world.pass(30 * 86_400 - 14_201);
    assert_eq!(errcode(&world.refresh(refresh).await), 0);
    world.pass(1);
    assert_eq!(errcode(&world.refresh(refresh).await), 42002);
}

#[tokio::test]
async fn a_visitor_of_a_snapshot_is_marked_and_somebody_else_each_time() {
    let world = World::start().await;
    let url = world.authorize_url("snsapi_userinfo");
    let mut openids = Vec::new();
    for _ in 0..2 {
        let back = world.server.world().authorize_snapshot(&url).unwrap();
        let grant = world.exchange(&code_of(&back)).await;
        assert_eq!(grant["is_snapshotuser"], 1);
        openids.push(text(&grant, "openid").to_owned());
    }
    assert_ne!(openids[0], openids[1]);
    let real = world.exchange(&world.code("snsapi_userinfo", "o1")).await;
    assert_eq!(real.get("is_snapshotuser"), None);
}

#[tokio::test]
async fn a_browser_is_sent_back_only_from_an_address_as_wechat_wants_it() {
    let world = World::start().await;
    let sim = world.server.world();
    let url = world.authorize_url("snsapi_base");
    let strange = url.replace(&world.account.appid, "wx0");
    assert_eq!(sim.authorize(&strange, "o1"), Err(NotAuthorised::AppId));
    let unordered = url.replace("&scope=snsapi_base&state=s1", "&state=s1&scope=snsapi_base");
    assert_eq!(
        sim.authorize(&unordered, "o1"),
        Err(NotAuthorised::Order("scope".into()))
    );
    let cut = url.replace("#wechat_redirect", "");
    assert_eq!(sim.authorize_snapshot(&cut), Err(NotAuthorised::Fragment));
}

#[tokio::test]
async fn answers_to_logins_are_called_plain_text() {
    let world = World::start().await;
    let answer = world.raw("GET", "/sns/jscode2session", &[], "").await;
    assert_eq!(answer.unwrap().header("content-type"), Some("text/plain"));
}
