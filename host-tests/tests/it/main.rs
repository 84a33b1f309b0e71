//! Every scenario, in real Envoy, in the wasmtime host, and as far as it applies in the component.
//!
//! `cargo xtask test` builds what the first two need; alone they need `cargo xtask wasm` and
//! `cargo build --bin weir-store --bin weir --bin weir-chaos`. The component's run in `cargo xtask component`.

mod acknowledgement;
mod chaos;
mod command;
mod copies;
mod door;
mod flood;
mod follow;
mod forward;
mod host_faults;
mod hosts;
mod login;
mod outage;
mod refusals;
mod rules;
mod tokens;
mod transport;
mod updates;
mod vectors;
mod verification;

/// The one definition of what runs where: the tests of each host, and the table in `docs/hosts.md`.
macro_rules! scenarios {
    ($($group:ident { $($module:ident: $($name:ident),+;)+ })+) => {
        pub(crate) const SCENARIOS: &[(hosts::Needs, &[(&str, &[&str])])] = &[
            $((hosts::Needs::$group, &[$((stringify!($module), &[$(stringify!($name)),+])),+])),+
        ];
        $(scenarios!(@ $group $($module: $($name),+;)+);)+
    };
    (@ Nothing $($scenarios:tt)+) => {
        mod everywhere {
            scenarios!(envoy = weir_host_tests::InEnvoy; $($scenarios)+);
            scenarios!(wasmtime = weir_host_tests::InWasmtime; $($scenarios)+);
            scenarios!(component = weir_host_tests::InComponent; $($scenarios)+);
        }
    };
    (@ $group:ident $($scenarios:tt)+) => {
        #[allow(non_snake_case, reason = "named as the capability")]
        mod $group {
            scenarios!(envoy = weir_host_tests::InEnvoy; $($scenarios)+);
            scenarios!(wasmtime = weir_host_tests::InWasmtime; $($scenarios)+);
        }
    };
    ($gateway:ident = $type:ty; $($module:ident: $($name:ident),+;)+) => {
        mod $gateway {
            $(mod $module {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() -> anyhow::Result<()> {
                    crate::$module::$name::<$type>().await
                })+
            })+
        }
    };
}

scenarios! {
    Nothing {
        verification:
            the_url_is_verified_by_who_knows_the_token;
        follow:
            a_follow_in_plain_mode_is_answered_and_kept,
            a_follow_in_compatible_mode_is_answered_and_kept,
            a_follow_in_encrypted_mode_is_answered_and_kept,
            the_rules_decide_what_a_follower_gets;
        refusals:
            whatever_is_wrong_the_answer_says_only_no,
            a_mode_weaker_than_the_accounts_is_refused,
            a_body_over_the_limit_is_refused_as_too_large,
            what_is_no_account_of_ours_is_not_ours_to_answer;
        transport:
            a_header_that_is_not_text_does_no_harm,
            a_push_may_come_in_pieces_and_end_with_trailers;
        rules:
            a_first_push_a_name_and_a_tag;
        vectors:
            every_push_that_wechat_sends_is_taken_and_kept_typed,
            every_reply_that_a_rule_may_give_arrives_as_it_should;
        copies:
            three_attempts_of_one_push_are_one_message_and_one_reply,
            a_copy_on_another_worker_gets_the_first_ones_reply,
            copies_at_the_same_moment_are_one_message;
        command:
            the_command_tries_a_rule_and_replays_what_was_stored;
        outage:
            while_the_store_is_down_wechat_comes_again_and_nothing_is_lost;
        tokens:
            a_token_revoked_elsewhere_is_fetched_again_exactly_once;
    }
    Background {
        acknowledgement:
            at_once_answers_while_the_store_is_down_and_delivers_later;
        forward:
            an_application_is_asked_with_an_event_and_answers_in_json,
            a_program_for_wechat_is_asked_as_wechat_asks_and_answers_in_xml,
            whatever_an_application_does_wrong_the_user_gets_the_other_reply,
            an_application_may_take_its_time_and_is_called_once,
            a_reply_that_comes_too_late_is_sent_once;
    }
    Modules {
        door:
            an_sdk_that_logs_in_calls_with_a_stand_in_and_wechat_sees_the_real_token,
            whoever_has_a_key_calls_by_header_or_by_path,
            files_of_every_size_go_up_and_come_down_unchanged,
            what_wechat_says_to_all_alike_is_asked_for_once,
            what_was_sent_is_in_the_store_without_its_content,
            what_wechat_says_of_a_message_later_is_what_the_store_says_of_it,
            a_days_calls_that_are_used_up_are_not_asked_for_again,
            mistakes_are_refused_before_wechat_sees_them_where_that_is_wanted,
            a_message_that_is_not_allowed_is_refused_before_wechat_sees_it,
            a_form_that_was_filled_in_is_fetched_through_the_door_and_shown,
            what_was_to_be_fetched_is_fetched_by_the_store_that_comes_after_a_killed_one,
            a_tag_given_in_the_store_is_wechats_and_the_other_way_round,
            eight_callers_meet_an_invalidated_token_and_none_sees_it;
        login:
            a_mini_program_logs_in_and_the_application_knows_who_asks,
            a_phone_number_is_asked_for_and_kept_though_the_token_dies,
            a_browser_goes_to_wechat_and_comes_back_known,
            a_guest_stays_the_same_guest,
            whatever_wechat_does_a_login_ends_and_the_next_one_works,
            without_the_store_a_login_works_and_the_store_learns_of_it,
            a_session_outlives_the_gateway;
    }
    Updates {
        updates:
            a_new_configuration_takes_over_under_load_and_no_push_is_dropped,
            a_configuration_with_a_mistake_is_rejected_and_the_old_one_serves_on;
    }
}
