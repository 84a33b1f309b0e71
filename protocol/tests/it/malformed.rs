//! One line per broken body.

use weir_protocol::envelope::Envelope;
use weir_protocol::error::ParseError::{self, *};
use weir_protocol::push::Push;

const BROKEN: ParseError = Malformed { offset: 0 };

fn class(error: ParseError) -> ParseError {
    if let Malformed { .. } = error {
        BROKEN
    } else {
        error
    }
}

fn check(body: impl AsRef<[u8]>, expected: ParseError) {
    let body = body.as_ref();
    assert_eq!(
        Push::parse(body).map(|_| ()).map_err(class),
        Err(expected),
        "{}",
        body.escape_ascii()
    );
}

/// In an XML push that is otherwise right.
fn inside(inner: &str, expected: ParseError) {
    check(
        format!(
            "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType>{inner}</xml>"
        ),
        expected,
    );
}

/// In an XML push that lacks what is given.
fn fields(inner: &str, expected: ParseError) {
    check(format!("<xml>{inner}</xml>"), expected);
}

/// In a JSON push that is otherwise right.
fn member(inner: &str, expected: ParseError) {
    check(
        format!(
            r#"{{"ToUserName":"a","FromUserName":"b","CreateTime":1,"MsgType":"text",{inner}}}"#
        ),
        expected,
    );
}

/// As the value of a field in a JSON push.
fn value(inner: &str, expected: ParseError) {
    member(&format!(r#""X":{inner}"#), expected);
}

#[test]
fn bodies_that_are_no_document() {
    check("", Empty);
    check(" \r\n\t", Empty);
    check("\u{feff}", Empty);
    check("success", UnknownFormat);
    check("[]", UnknownFormat);
    check("\"a\"", UnknownFormat);
    check("\u{feff}\u{feff}<xml/>", UnknownFormat);
    check("\u{a0}<xml/>", UnknownFormat);
    check(b"<xml>\xff</xml>", NotUtf8);
    check(b"{\"a\":\"\xc3\x28\"}", NotUtf8);
    check(b"<xml>\xed\xa0\x80</xml>", NotUtf8);
    check(b"\xff\xfe<\0x\0/\0>\0", NotUtf8);
    check("<".to_owned() + &" ".repeat(1 << 20), TooLarge);
}

#[test]
fn document_type_declarations() {
    check("<!DOCTYPE xml><xml/>", Doctype);
    check("<!doctype xml><xml/>", Doctype);
    check("<!DocType xml SYSTEM \"http://x/\"><xml/>", Doctype);
    check("<!DOCTYPE x [<!ENTITY a \"b\">]><xml>&a;</xml>", Doctype);
    check("<!DOCTYPE x [<!ENTITY a \"b\"", Doctype);
    check("<!DOCTYPE", Doctype);
    check("<!DOCTYPE>", Doctype);
    check(
        "<?xml version=\"1.0\"?>\n<!-- c --><!DOCTYPE xml><xml/>",
        Doctype,
    );
    check("\u{feff}<!DOCTYPE xml><xml/>", Doctype);
    check("<xml/><!DOCTYPE xml>", Doctype);
    inside("<!DOCTYPE xml>", Doctype);
}

#[test]
fn declarations_and_what_surrounds_the_root() {
    check("<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>", Encoding);
    check("<?xml version='1.0' encoding='utf-16'?><xml/>", Encoding);
    check("<?xml version=\"1.0\" encoding=UTF-8?><xml/>", BROKEN);
    check("<?xml?><xml/>", BROKEN);
    check("<?xml version=\"1.0\"", BROKEN);
    check(" <?xml version=\"1.0\"?><xml/>", BROKEN);
    check("<xml><?xml version=\"1.0\"?></xml>", BROKEN);
    check("<xml/>x", BROKEN);
    check("<xml/><xml/>", BROKEN);
    check("<xml></xml>&amp;", BROKEN);
    check("<xml></xml><![CDATA[]]>", BROKEN);
    check("<!-- c -->", BROKEN);
    check("<?pi?>", BROKEN);
}

/// As a page about member cards prints its sample.
#[test]
fn the_printed_sample_of_a_member_card_with_blanks_in_its_cdata() {
    let sample = "<xml> <ToUserName> <! [CDATA[gh_3fcea188bf78]]> </ToUserName>
        <FromUserName><![CDATA[obLatjlaNQKb8FqOvt1M1x1lIBFE]]></FromUserName>
        <CreateTime>1432668700</CreateTime> <MsgType><![CDATA[event]]></MsgType>
        <Event><![CDATA[submit_membercard_user_info]]></Event>
        <CardId><![CDATA[pbLatjtZ7v1BG_ZnTjbW85GYc_E8]]></CardId>
        <UserCardCode><![CDATA[018255396048]]></UserCardCode> </xml>";
    check(sample, BROKEN);
    for blanks in [
        "<![ CDATA[gh_1]]>",
        "<![CDATA [gh_1]]>",
        "< ![CDATA[gh_1]]>",
        "<![CDATA[gh_1] ]>",
    ] {
        check(
            sample.replace("<! [CDATA[gh_3fcea188bf78]]>", blanks),
            BROKEN,
        );
    }
    // Blanks around it are WeChat's own way of writing.
    assert!(Push::parse(sample.replace("<! [", "<![").as_bytes()).is_ok());
}

#[test]
fn markup_that_is_not_xml() {
    check("<xml>", BROKEN);
    check("<xml", BROKEN);
    check("<", BROKEN);
    check("<>", BROKEN);
    check("</xml>", BROKEN);
    check("<xml></xml></xml>", BROKEN);
    check("<xml></XML>", BROKEN);
    check("< xml></ xml>", BROKEN);
    check("<1/>", BROKEN);
    check("<!xml>", BROKEN);
    inside("<a><b></a></b>", BROKEN);
    inside("<a>", BROKEN);
    inside("</a>", BROKEN);
    inside("<a b></a>", BROKEN);
    inside("<a b=c></a>", BROKEN);
    inside("<a b=\"c></a>", BROKEN);
    inside("<a$></a$>", BROKEN);
    inside("<a,b></a,b>", BROKEN);
    inside("<-a></-a>", BROKEN);
    inside(&format!("<{0}></{0}>", "a".repeat(129)), BROKEN);
    inside("<a>]]></a>", BROKEN);
    inside("<a>x]]>y</a>", BROKEN);
    inside("<a><![CDATA[x</a>", BROKEN);
    inside("<a><![CDATA[x]]></a", BROKEN);
    inside("<a><![cdata[x]]></a>", BROKEN);
    inside("<a><![CDATA[<a><![CDATA[x]]></a>]]></a>", BROKEN);
    inside("<!-- c", BROKEN);
    inside("<!-- a -- b -->", BROKEN);
    inside("<!-->", BROKEN);
    inside("<?pi", BROKEN);
    inside("<??>", BROKEN);
    inside("<? pi?>", BROKEN);
    inside("<?<a>?>", BROKEN);
    inside("<?XML version='1.0'?>", BROKEN);
    inside("<a>\0</a>", BROKEN);
    inside("<a><![CDATA[\0]]></a>", BROKEN);
}

#[test]
fn references_that_mean_nothing() {
    inside("<a>&</a>", BROKEN);
    inside("<a>&amp</a>", BROKEN);
    inside("<a>&;</a>", BROKEN);
    inside("<a>& amp;</a>", BROKEN);
    inside("<a>&AMP;</a>", BROKEN);
    inside("<a>&nbsp;</a>", BROKEN);
    inside("<a>&#;</a>", BROKEN);
    inside("<a>&#x;</a>", BROKEN);
    inside("<a>&#0;</a>", BROKEN);
    inside("<a>&#1;</a>", BROKEN);
    inside("<a>&#xB;</a>", BROKEN);
    inside("<a>&#X41;</a>", BROKEN);
    inside("<a>&#+65;</a>", BROKEN);
    inside("<a>&#-65;</a>", BROKEN);
    inside("<a>&#xD800;</a>", BROKEN);
    inside("<a>&#xFFFE;</a>", BROKEN);
    inside("<a>&#x110000;</a>", BROKEN);
    inside("<a>&#99999999999;</a>", BROKEN);
}

#[test]
fn json_that_is_not_json() {
    check("{", BROKEN);
    check("{}x", BROKEN);
    check("{}{}", BROKEN);
    check("{,}", BROKEN);
    check("{\"a\"}", BROKEN);
    check("{\"a\":}", BROKEN);
    check("{a:1}", BROKEN);
    check("{'a':1}", BROKEN);
    check("{1:1}", BROKEN);
    check("{\"a\":1,}", BROKEN);
    check("{\"a\":1 \"b\":2}", BROKEN);
    check("{\"a\":1]", BROKEN);
    member(&format!(r#""{}":1"#, "a".repeat(129)), BROKEN);
    value("[1,]", BROKEN);
    value("[,1]", BROKEN);
    value("[1}", BROKEN);
    value("[1 2]", BROKEN);
    value("tru", BROKEN);
    value("True", BROKEN);
    value("nul", BROKEN);
    value("NaN", BROKEN);
    value("01", BROKEN);
    value("-", BROKEN);
    value("-01", BROKEN);
    value("+1", BROKEN);
    value(".5", BROKEN);
    value("1.", BROKEN);
    value("1e", BROKEN);
    value("1e+", BROKEN);
    value("0x1", BROKEN);
    value("\"", BROKEN);
    value("\"\n\"", BROKEN);
    value("\"\\x\"", BROKEN);
    value("\"\\u12\"", BROKEN);
    value("\"\\u12g4\"", BROKEN);
    value("\"\\ud83d\"", BROKEN);
    value("\"\\ud83dx\"", BROKEN);
    value("\"\\ud83d\\u0041\"", BROKEN);
    value("\"\\ude00\"", BROKEN);
    value("1 // c\n", BROKEN);
}

#[test]
fn bounds() {
    let nest = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    inside(&nest(32), TooDeep);
    inside(&nest(50_000), TooDeep);
    value(&("[".repeat(32) + &"]".repeat(32)), TooDeep);
    value(&"[".repeat(500_000), TooDeep);
    value(&"{\"a\":".repeat(50_000), TooDeep);
    inside(&"<a/>".repeat(8200), TooMany);
    value(&format!("[{}1]", "1,".repeat(8200)), TooMany);
    inside(
        &(0..300).map(|n| format!("<a{n}/>")).collect::<String>(),
        TooMany,
    );
    let names = (0..300).map(|n| format!("\"a{n}\":1,")).collect::<String>();
    member(names.trim_end_matches(','), TooMany);
}

#[test]
fn routing_fields_twice_or_not_plain() {
    inside("<ToUserName>a</ToUserName>", Duplicate("ToUserName"));
    inside("<FromUserName/>", Duplicate("FromUserName"));
    inside("<CreateTime>1</CreateTime>", Duplicate("CreateTime"));
    inside("<MsgType>text</MsgType>", Duplicate("MsgType"));
    inside("<MsgId>1</MsgId><a/><MsgId>1</MsgId>", Duplicate("MsgId"));
    inside("<Event>a</Event><Event>b</Event>", Duplicate("Event"));
    inside("<MsgId><a/></MsgId>", NotPlain("MsgId"));
    inside("<Event><a>b</a></Event>", NotPlain("Event"));
    member(r#""MsgType":"text""#, Duplicate("MsgType"));
    member(r#""MsgId":1,"MsgId":1"#, Duplicate("MsgId"));
    member(r#""\u004dsgId":1,"MsgId":1"#, Duplicate("MsgId"));
    member(r#""MsgId":{}"#, NotPlain("MsgId"));
    member(r#""MsgId":[1]"#, NotPlain("MsgId"));
    member(r#""MsgId":true"#, NotPlain("MsgId"));
}

#[test]
fn required_fields() {
    fields("", Missing("ToUserName"));
    check("<xml/>", Missing("ToUserName"));
    check("{}", Missing("ToUserName"));
    check(
        "<xml><action>CheckContainerPath</action></xml>",
        Missing("ToUserName"),
    );
    fields("<ToUserName>a</ToUserName>", Missing("FromUserName"));
    fields("<ToUserName/>", Missing("ToUserName"));
    fields(
        "<ToUserName>a</ToUserName><FromUserName>b</FromUserName>",
        Missing("MsgType"),
    );
    fields(
        "<ToUserName>a</ToUserName><FromUserName>b</FromUserName><MsgType>text</MsgType>",
        Missing("CreateTime"),
    );
    fields(
        "<ToUserName>a</ToUserName><FromUserName>b</FromUserName><MsgType>event</MsgType>",
        Missing("Event"),
    );
    fields("<tousername>a</tousername>", Missing("ToUserName"));
    fields("<x><ToUserName>a</ToUserName></x>", Missing("ToUserName"));
    fields(
        "<InfoType>x</InfoType><CreateTime>1</CreateTime>",
        Missing("AppId"),
    );
    fields("<InfoType/><AppId>a</AppId>", Missing("InfoType"));
    fields(
        "<InfoType>x</InfoType><AppId>a</AppId>",
        Missing("CreateTime"),
    );
    fields(
        "<InfoType>x</InfoType><AppId>a</AppId><AppId>b</AppId>",
        NotPlain("AppId"),
    );
    check(
        r#"{"ToUserName":null,"FromUserName":"b"}"#,
        Missing("ToUserName"),
    );
    check(r#"{"ToUserName":true}"#, NotPlain("ToUserName"));
}

#[test]
fn times_that_are_none() {
    for time in [
        "x",
        "-1",
        "+1",
        "1.0",
        "1e3",
        "1 2",
        "9007199254740993",
        "99999999999999999999",
        "１",
    ] {
        let time = format!(
            "<ToUserName>a</ToUserName><FromUserName>b</FromUserName><MsgType>text</MsgType><CreateTime>{time}</CreateTime>"
        );
        fields(&time, BadCreateTime);
    }
    for time in ["-1", "1.0", "1e3", "\" \"", "9007199254740993"] {
        check(
            format!(
                r#"{{"ToUserName":"a","FromUserName":"b","MsgType":"text","CreateTime":{time}}}"#
            ),
            BadCreateTime,
        );
    }
}

#[test]
fn envelopes() {
    let check = |body: &str, expected| {
        assert_eq!(
            Envelope::parse(body.as_bytes()).map_err(class).unwrap_err(),
            expected,
            "{body}"
        );
    };
    check("", Empty);
    check("<xml/>", Missing("Encrypt"));
    check("{}", Missing("Encrypt"));
    check("<xml><a><Encrypt>x</Encrypt></a></xml>", Missing("Encrypt"));
    check("<xml><Encrypt>x</Encrypt>", BROKEN);
    check("<xml><Encrypt>x</Encrypt></xml><xml/>", BROKEN);
    check(
        "<xml><Encrypt>x</Encrypt><Encrypt>x</Encrypt></xml>",
        Duplicate("Encrypt"),
    );
    check(
        "<xml><Encrypt>x</Encrypt><ToUserName/><ToUserName/></xml>",
        Duplicate("ToUserName"),
    );
    check(
        "<xml><Encrypt>x</Encrypt><AppId/><AppId/></xml>",
        Duplicate("AppId"),
    );
    check(
        "<xml><MsgId>1</MsgId><Encrypt>x</Encrypt><MsgId>1</MsgId></xml>",
        Duplicate("MsgId"),
    );
    check("<xml><Encrypt><a/></Encrypt></xml>", NotPlain("Encrypt"));
    check(
        "<xml><Encrypt>x</Encrypt><Event><a/></Event></xml>",
        NotPlain("Event"),
    );
    check("<!DOCTYPE xml><xml><Encrypt>x</Encrypt></xml>", Doctype);
    check(r#"{"Encrypt":true}"#, NotPlain("Encrypt"));
    check(r#"{"Encrypt":["x"]}"#, NotPlain("Encrypt"));
    check(r#"{"Encrypt":null}"#, Missing("Encrypt"));
    check(r#"{"Encrypt":"x","Encrypt":"x"}"#, Duplicate("Encrypt"));
}

#[test]
fn an_error_says_where_but_not_what() {
    let body = "<xml><secret>&oops;</secret></xml>";
    let error = Push::parse(body.as_bytes()).unwrap_err();
    assert_eq!(
        error,
        Malformed {
            offset: body.find('&').unwrap()
        }
    );
    assert_eq!(error.to_string(), "the body is malformed near byte 13");
    assert_eq!(error.code(), -40002);
}
