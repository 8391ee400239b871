use serde::Deserialize;

use super::*;

const KEY: &str = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A case of Amazon's published test suite: the service is `service`, the instant 2015-08-30T12:36:00Z.
fn published(method: &str, path: &str, headers: &[(&'static str, &str)], body: &str, signature: &str) {
    let url = reqwest::Url::parse(&format!("https://example.amazonaws.com{path}")).unwrap();
    let request = ToSign {
        method,
        url: &url,
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: body.as_bytes(),
    };
    let scope = Scope {
        region: "us-east-1",
        service: "service",
    };
    let at = "2015-08-30T12:36:00Z".parse().unwrap();
    let signed = sign(&request, &AwsKey::parse(KEY).unwrap(), scope, at);
    assert!(
        signed.authorization.ends_with(&format!("Signature={signature}")),
        "{method} {path}: {}",
        signed.authorization
    );
    assert_eq!(signed.date, "20150830T123600Z");
}

#[test]
fn the_published_vectors_are_met() {
    let none = &[][..];
    published(
        "GET",
        "/",
        none,
        "",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    );
    published(
        "POST",
        "/",
        none,
        "",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    );
    published(
        "GET",
        "/?Param2=value2&Param1=value1",
        none,
        "",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    );
    published(
        "GET",
        "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        none,
        "",
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    );
    let twice = [("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")];
    published(
        "GET",
        "/",
        &twice,
        "",
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    published(
        "POST",
        "/",
        &form,
        "Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    );
}

#[test]
fn amazons_own_signer_signs_the_same() {
    #[derive(Deserialize)]
    struct Vectors {
        at: Timestamp,
        cases: Vec<Case>,
    }
    #[derive(Deserialize)]
    struct Case {
        method: String,
        url: String,
        body: String,
        region: String,
        key: String,
        authorization: String,
    }
    let vectors: Vectors = serde_json::from_str(include_str!("../../../fixtures/sigv4.json")).unwrap();
    assert!(vectors.cases.len() >= 30);
    for case in vectors.cases {
        let url = reqwest::Url::parse(&case.url).unwrap();
        let is_post = case.method == "POST";
        let request = ToSign {
            method: &case.method,
            url: &url,
            headers: is_post
                .then(|| ("content-type", "application/json".to_owned()))
                .into_iter()
                .collect(),
            body: case.body.as_bytes(),
        };
        let scope = Scope {
            region: &case.region,
            service: "bedrock",
        };
        let signed = sign(&request, &AwsKey::parse(&case.key).unwrap(), scope, vectors.at);
        assert_eq!(signed.authorization, case.authorization, "{} {}", case.method, case.url);
    }
}

#[test]
fn only_access_keys_are_read_as_such() {
    assert!(AwsKey::parse("AKIDEXAMPLE:secret").is_some());
    assert_eq!(
        AwsKey::parse("AKIDEXAMPLE:secret:to/ken==").unwrap().session_token,
        Some("to/ken==")
    );
    for bearer in [
        "ABSKQmVkcm9ja0FQSUtleS1leGFtcGxl",
        "bedrock-api-key-YmVkcm9jaw==",
        "AKIDEXAMPLE:",
        ":secret",
        "a b c d e:f",
    ] {
        assert!(AwsKey::parse(bearer).is_none(), "{bearer}");
    }
}
