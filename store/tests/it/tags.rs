//! Tags, through the store to WeChat and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use weir_errands::errcodes;
use weir_store::config::{Config, Limits};
use weir_store::repo;
use weir_store::server::Store;
use weir_store::testing::TestStore;
use weir_store::wechat::{Refusal, Verdict, Wechat};
use weir_store_api::read::Problem;
use weir_store_api::tags::{Tag, Tags, TagsChanged};

use crate::world::{T0, World, subscribe};

on_both_databases! {
    tags_are_made_renamed_and_deleted_at_wechat,
    followers_get_a_tag_and_the_store_shows_it,
    what_wechat_would_refuse_anyway_is_refused_with_a_clear_word,
}

/// WeChat with its rules about tags, for one account. Whose openid begins with an `o` follows.
#[derive(Debug, Default)]
struct Tagging {
    tags: Mutex<BTreeMap<i64, String>>,
    of_user: Mutex<BTreeMap<String, BTreeSet<i64>>>,
}

impl Tagging {
    fn answer(&self, path: &str, body: &Value) -> Result<Value, i64> {
        let mut tags = self.tags.lock().unwrap();
        let mut of_user = self.of_user.lock().unwrap();
        let id = body["tag"]["id"].as_i64();
        let name = || body["tag"]["name"].as_str().unwrap().to_owned();
        match path {
            "/cgi-bin/tags/create" if tags.values().any(|known| *known == name()) => Err(45157),
            "/cgi-bin/tags/create" => {
                let id = 100 + tags.len() as i64;
                tags.insert(id, name());
                Ok(json!({"tag": {"id": id, "name": name()}}))
            }
            "/cgi-bin/tags/update" | "/cgi-bin/tags/delete" if id < Some(3) => Err(45058),
            "/cgi-bin/tags/update" | "/cgi-bin/tags/delete" if !tags.contains_key(&id.unwrap()) => {
                Err(45159)
            }
            "/cgi-bin/tags/update" => {
                tags.insert(id.unwrap(), name());
                Ok(json!({"errcode": 0}))
            }
            "/cgi-bin/tags/delete" => {
                tags.remove(&id.unwrap());
                Ok(json!({"errcode": 0}))
            }
            "/cgi-bin/user/info/batchget" => {
                let list = body["user_list"].as_array().unwrap();
                let users = list.iter().map(|user| {
                    let openid = user["openid"].as_str().unwrap();
                    let tags = of_user.get(openid).cloned().unwrap_or_default();
                    json!({"openid": openid, "subscribe": 1, "subscribe_time": T0, "tagid_list": tags})
                });
                Ok(json!({"user_info_list": users.collect::<Vec<_>>()}))
            }
            _ => {
                let tag = body["tagid"].as_i64().unwrap();
                if !tags.contains_key(&tag) {
                    return Err(45159);
                }
                let list = body["openid_list"].as_array().unwrap();
                let openids: Vec<&str> = list.iter().map(|one| one.as_str().unwrap()).collect();
                assert!(openids.len() <= 50);
                if openids.iter().any(|openid| !openid.starts_with('o')) {
                    return Err(40003);
                }
                for openid in openids {
                    let tags = of_user.entry(openid.to_owned()).or_default();
                    if path.ends_with("batchtagging") {
                        tags.insert(tag);
                    } else {
                        tags.remove(&tag);
                    }
                }
                Ok(json!({"errcode": 0}))
            }
        }
    }
}

#[async_trait]
impl Wechat for Tagging {
    async fn post(&self, account: &str, path: &str, body: &Value) -> Verdict {
        assert_eq!(account, "demo");
        match self.answer(path, body) {
            Ok(answer) => Verdict::Done(answer),
            Err(errcode) => Verdict::Refused(Refusal {
                errcode,
                why: errcodes::meaning(errcode).reason.to_owned(),
            }),
        }
    }

    async fn get(&self, _: &str, target: &str) -> Verdict {
        assert_eq!(target, "/cgi-bin/tags/get");
        let tags = self.tags.lock().unwrap();
        let tags = tags
            .iter()
            .map(|(id, name)| json!({"id": id, "name": name, "count": 0}));
        Verdict::Done(json!({"tags": tags.collect::<Vec<_>>()}))
    }
}

async fn with_tags(world: World) -> World {
    world.store.stop().await.unwrap();
    let (database, limits) = (world.database, Limits::default());
    let repo = repo::open(&database.url(), limits.settings())
        .await
        .unwrap();
    let store = Store::new(repo, limits, None).with_wechat(Arc::new(Tagging::default()));
    let config = Config::local(database.url());
    World {
        store: TestStore::serve(store, &config).await.unwrap(),
        database,
        http: world.http,
    }
}

const TAGS: &str = "/v1/accounts/demo/tags";

async fn call(world: &World, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = world.http.request(method, world.url(path));
    let response = request.json(body).send().await.unwrap();
    let status = response.status();
    let body = response.text().await.unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

fn read<T: serde::de::DeserializeOwned>((_, body): (StatusCode, Value)) -> T {
    serde_json::from_value(body).unwrap()
}

async fn tags_are_made_renamed_and_deleted_at_wechat(world: World) {
    let world = with_tags(world).await;
    let (status, made) = call(&world, Method::POST, TAGS, &json!({"name": "广东"})).await;
    assert_eq!(status, StatusCode::CREATED);
    let made: Tag = serde_json::from_value(made).unwrap();
    assert_eq!((made.id, made.name.as_str()), (100, "广东"));
    let tag = format!("{TAGS}/100");
    let renamed: Tag = read(call(&world, Method::PATCH, &tag, &json!({"name": "广西"})).await);
    assert_eq!((renamed.id, renamed.name.as_str()), (100, "广西"));
    let all: Tags = world.get(TAGS).await;
    let expected = Tag {
        count: Some(0),
        ..renamed
    };
    assert_eq!(all.items, [expected]);
    let (status, _) = call(&world, Method::DELETE, &tag, &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let gone: Problem = read(call(&world, Method::DELETE, &tag, &Value::Null).await);
    assert_eq!((gone.status, gone.errcode), (404, Some(45159)));
}

async fn followers_get_a_tag_and_the_store_shows_it(world: World) {
    world.create(&[subscribe("f", "o1", T0, "")]).await;
    let world = with_tags(world).await;
    call(&world, Method::POST, TAGS, &json!({"name": "vip"})).await;
    let members = format!("{TAGS}/100/members");
    let mut openids: Vec<String> = (0..120).map(|number| format!("o{number}")).collect();
    openids.push("stranger".to_owned());
    // Twice the same is once.
    openids.push("o1".to_owned());
    let body = json!({"openids": openids});
    let changed: TagsChanged = read(call(&world, Method::POST, &members, &body).await);
    assert_eq!((changed.done.len(), changed.later.len()), (120, 0));
    let refused = &changed.refused[0];
    assert_eq!(
        (refused.openid.as_str(), refused.errcode),
        ("stranger", 40003)
    );
    let tags = async |openid: &str| world.user(openid).await.user.profile.unwrap().tagid_list;
    assert_eq!(tags("o1").await, Some(vec![100]));
    assert_eq!(tags("o119").await, Some(vec![100]));
    let body = json!({"openids": ["o1"]});
    let changed: TagsChanged = read(call(&world, Method::DELETE, &members, &body).await);
    assert_eq!(changed.done, ["o1"]);
    assert_eq!(tags("o1").await, Some(vec![]));
}

async fn what_wechat_would_refuse_anyway_is_refused_with_a_clear_word(world: World) {
    let name = json!({"name": "vip"});
    let closed: Problem = read(call(&world, Method::POST, TAGS, &name).await);
    assert_eq!(
        (closed.status, closed.kind.as_str()),
        (409, "urn:weir:store:no-door")
    );
    let world = with_tags(world).await;
    for (body, status) in [
        (json!({"name": ""}), 400),
        (json!({"name": "名".repeat(31)}), 400),
        (json!({"name": "a", "id": 1}), 400),
        (json!([]), 400),
        (name.clone(), 201),
        (name, 422),
    ] {
        let (answered, problem) = call(&world, Method::POST, TAGS, &body).await;
        assert_eq!(answered.as_u16(), status, "{body}: {problem}");
    }
    let ours: Problem =
        read(call(&world, Method::DELETE, &format!("{TAGS}/2"), &Value::Null).await);
    assert_eq!((ours.status, ours.errcode), (422, Some(45058)));
    let many: Vec<String> = (0..1_001).map(|number| format!("o{number}")).collect();
    for openids in [json!([]), json!(many)] {
        let body = json!({"openids": openids});
        let (status, _) = call(&world, Method::POST, &format!("{TAGS}/100/members"), &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    }
    let nobodys = json!({"openids": ["o1"]});
    let (status, _) = call(&world, Method::POST, &format!("{TAGS}/7/members"), &nobodys).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}
