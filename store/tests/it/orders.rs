//! Whatever the order events arrive in, the same is known in the end.

use serde_json::{Value, json};
use weir_store::fact::Change;
use weir_store::fold::{Clock, Person};
use weir_store_api::WechatUser;
use weir_store_api::read::{Message, User};

use crate::dice::Dice;
use crate::world::{T0, World, snapshot, subscribe, text, unsubscribe};

on_both_databases! {
    all_orders_of_six_events_end_alike_one_by_one,
    all_orders_of_six_events_end_alike_in_batches,
}

/// All orders of `0..count`.
pub(crate) fn orders(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let longer = |order: Vec<usize>| {
        (0..count).map(move |place| {
            let mut order = order.clone();
            order.insert(place, count - 1);
            order
        })
    };
    orders(count - 1).into_iter().flat_map(longer).collect()
}

/// Events that contradict one another, some within one second.
fn story(openid: &str) -> [Value; 6] {
    let id = |name: &str| format!("{openid}-{name}");
    let profile = json!({
        "subscribe": 1, "subscribe_time": T0, "nickname": "🐟", "remark": "first", "tagid_list": [1],
        "subscribe_scene": "ADD_SCENE_QR_CODE", "qr_scene_str": "x",
    });
    let later = json!({"subscribe": 1, "subscribe_time": T0 + 20, "remark": "", "city": "广州"});
    [
        subscribe(&id("follow"), openid, T0, "x"),
        snapshot(&id("profile"), openid, T0 + 1, profile),
        unsubscribe(&id("unfollow"), openid, T0 + 10),
        subscribe(&id("return"), openid, T0 + 20, ""),
        snapshot(&id("later"), openid, T0 + 20, later),
        text(&id("text"), openid, T0 + 20, "hello"),
    ]
}

async fn check(world: &World, orders: usize) {
    let mut people: Vec<User> = world.list("/v1/users?state=following", 200).await;
    assert_eq!(people.len(), orders);
    let messages: Vec<Message> = world.list("/v1/messages", 200).await;
    assert_eq!(messages.len(), orders);
    for person in &mut people {
        person.openid.clear();
        person.profile.as_mut().unwrap().openid.clear();
    }
    let first = people[0].clone();
    let follow = first.follow.as_ref().unwrap();
    assert_eq!((follow.followed_times, follow.unfollowed_times), (2, 1));
    assert_eq!(
        first.profile.as_ref().unwrap().nickname.as_deref(),
        Some("🐟")
    );
    for person in people {
        assert_eq!(person, first);
    }
}

/// Every order has a person of its own; the n-th events of all are sent together.
async fn all_orders_of_six_events_end_alike_one_by_one(world: World) {
    let orders = orders(6);
    for place in 0..6 {
        let nth = |(number, order): (usize, &Vec<usize>)| {
            story(&format!("o{number}"))[order[place]].clone()
        };
        let batch: Vec<Value> = orders.iter().enumerate().map(nth).collect();
        world.create(&batch).await;
    }
    check(&world, orders.len()).await;
}

/// Every order has a person of its own, whose events are sent together.
async fn all_orders_of_six_events_end_alike_in_batches(world: World) {
    let orders = orders(6);
    for (part, some) in orders.chunks(150).enumerate() {
        let in_order = |(number, order): (usize, &Vec<usize>)| {
            let story = story(&format!("o{part}-{number}"));
            order
                .iter()
                .map(|index| story[*index].clone())
                .collect::<Vec<_>>()
        };
        let batch: Vec<Value> = some.iter().enumerate().flat_map(in_order).collect();
        world.create(&batch).await;
    }
    check(&world, orders.len()).await;
}

impl Dice {
    /// Times are few, so that many facts share one.
    fn fact(&mut self, number: usize) -> (Clock, Change) {
        let second = self.roll(4) as i64 + 100;
        let millisecond = second * 1000 + self.roll(2) as i64;
        let at = Clock::new(second, millisecond, "/accounts/demo", &number.to_string());
        let word = format!("{}", self.roll(3));
        let change = match self.roll(4) {
            0 => Change::Follow {
                scene: self.maybe(word),
            },
            1 => Change::Unfollow,
            _ => {
                let subscribe = self.roll(3);
                let arrival = 100 + self.roll(4);
                Change::Profile(Box::new(WechatUser {
                    subscribe: u8::try_from(subscribe)
                        .ok()
                        .filter(|subscribe| *subscribe < 2),
                    nickname: self.maybe(word.clone()),
                    remark: self.maybe(word.clone()),
                    tagid_list: self.maybe(vec![second]),
                    subscribe_time: self.maybe(arrival),
                    subscribe_scene: self.maybe(word.clone()),
                    qr_scene_str: self.maybe(word),
                    ..WechatUser::default()
                }))
            }
        };
        (at, change)
    }
}

#[test]
fn all_orders_of_random_facts_end_alike() {
    let orders = orders(5);
    for seed in 1..=400_u64 {
        let mut dice = Dice::new(seed);
        let facts: Vec<_> = (0..5).map(|number| dice.fact(number)).collect();
        let told = |order: &Vec<usize>| {
            let mut person = Person::default();
            for index in order {
                let (at, change) = &facts[*index];
                person.apply(*at, change);
            }
            let follow = person.follow();
            (person, follow)
        };
        let first = told(&orders[0]);
        for order in &orders {
            assert_eq!(
                told(order),
                first,
                "seed {seed}, {facts:?} in order {order:?}"
            );
        }
    }
}
