//! Each mode against each kind of caller; Kubernetes against an API server of the tests' own.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    routing::post,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

use super::*;

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 40_000);
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)), 40_000);

fn shown(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
    headers
}

fn bearer(token: &str) -> HeaderMap {
    shown(&format!("Bearer {token}"))
}

fn basic(user: &str, password: &str) -> HeaderMap {
    shown(&format!("Basic {}", BASE64.encode(format!("{user}:{password}").as_bytes())))
}

/// An API server that knows a few tokens and who may what.
#[derive(Default)]
struct ApiServer {
    token_reviews: AtomicUsize,
    access_reviews: Mutex<Vec<Value>>,
    is_down: AtomicBool,
}

async fn reviewed(
    State(server): State<Arc<ApiServer>>,
    Path((_, kind)): Path<(String, String)>,
    body: Bytes,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], String) {
    let json_type = [(header::CONTENT_TYPE, "application/json")];
    if server.is_down.load(Ordering::SeqCst) {
        return (StatusCode::INTERNAL_SERVER_ERROR, json_type, "{}".to_owned());
    }
    let mut review: Value = serde_json::from_slice(&body).unwrap();
    review["status"] = if kind == "tokenreviews" {
        server.token_reviews.fetch_add(1, Ordering::SeqCst);
        token_status(&review["spec"])
    } else {
        server.access_reviews.lock().unwrap().push(review["spec"].clone());
        json!({ "allowed": review["spec"]["user"] == "ann" })
    };
    (StatusCode::CREATED, json_type, review.to_string())
}

/// Tokens read `USER@AUDIENCE`; `api` is the API server's own audience.
fn token_status(spec: &Value) -> Value {
    let (user, audience) = spec["token"].as_str().unwrap().split_once('@').unwrap_or(("", ""));
    let asked = spec["audiences"][0].as_str().unwrap_or("api");
    if user.is_empty() || asked != audience {
        return json!({ "authenticated": false });
    }
    let user = match user {
        "agent" => "system:serviceaccount:namewarden:namewarden-agent",
        user => user,
    };
    json!({ "authenticated": true, "audiences": [audience], "user": {
        "username": user, "groups": ["staff"],
        "extra": { "authentication.kubernetes.io/node-name": ["node-1"] },
    }})
}

async fn in_a_cluster() -> (Access, Arc<ApiServer>) {
    let server = Arc::new(ApiServer::default());
    let router = Router::new().route("/apis/{group}/v1/{kind}", post(reviewed)).with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let mut config = kube::Config::new(url.parse().unwrap());
    config.default_retry = false;
    let access = Access::kubernetes(KubernetesAccess {
        client: kube::Client::try_from(config).unwrap(),
        group: "projectcalico.org".to_owned(),
        audience: "namewarden".to_owned(),
        agents: vec![("namewarden".to_owned(), "namewarden-agent".to_owned())],
        controllers: vec![("namewarden".to_owned(), "namewarden-controller".to_owned())],
    });
    (access, server)
}

#[tokio::test]
async fn without_a_token_file_only_this_machine_may() {
    let access = Access::loopback();
    for right in Right::ALL {
        assert!(access.admit(&HeaderMap::new(), HERE, right, None).await.is_ok());
        assert_eq!(access.admit(&HeaderMap::new(), ELSEWHERE, right, None).await, Err(Denied::NoCredentials));
    }
    let mapped = "[::ffff:127.0.0.1]:1".parse().unwrap();
    assert!(access.admit(&HeaderMap::new(), mapped, Right::Push, None).await.is_ok());
}

#[tokio::test]
async fn another_sites_page_may_not_use_this_machines_rights() {
    let mut headers = HeaderMap::new();
    headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    let refused = Access::loopback().admit(&headers, HERE, Right::PullNow, None).await;
    assert!(matches!(refused, Err(Denied::NotAllowed { .. })), "{refused:?}");
}

#[test]
fn a_listener_open_to_others_needs_a_token_file() {
    let everywhere = "0.0.0.0:8443".parse().unwrap();
    assert!(Access::loopback().check_listen(everywhere).unwrap_err().contains("--token-file"));
    assert!(Access::loopback().check_listen("[::1]:8443".parse().unwrap()).is_ok());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "0123456789abcdef").unwrap();
    let file = TokenFile::open(&folder.path().join("token")).unwrap();
    assert!(Access::token_file(file).check_listen(everywhere).is_ok());
}

#[tokio::test]
async fn with_a_token_file_this_machine_must_show_the_token_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "0123456789abcdef").unwrap();
    let access = Access::token_file(TokenFile::open(&folder.path().join("token")).unwrap());
    for right in Right::ALL {
        assert_eq!(access.admit(&HeaderMap::new(), HERE, right, None).await, Err(Denied::NoCredentials));
        assert_eq!(access.admit(&bearer("x"), HERE, right, None).await, Err(Denied::BadCredentials));
        assert!(access.admit(&bearer("0123456789abcdef"), ELSEWHERE, right, None).await.is_ok());
        assert!(access.admit(&basic("elastic", "0123456789abcdef"), ELSEWHERE, right, None).await.is_ok());
    }
}

#[tokio::test]
async fn a_user_of_the_htpasswd_file_may_push_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "0123456789abcdef").unwrap();
    std::fs::write(folder.path().join("users"), format!("ann:{}", bcrypt::hash("horse", 4).unwrap()))
        .unwrap();
    let file = TokenFile::open(&folder.path().join("token")).unwrap();
    let access = Access::token_file(file).with_users(Htpasswd::open(&folder.path().join("users")).unwrap());
    for right in Right::ALL {
        let admitted = access.admit(&basic("ann", "horse"), ELSEWHERE, right, None).await;
        if matches!(right, Right::Push | Right::ReadPush | Right::Identify) {
            assert_eq!(admitted.unwrap().name, "ann");
        } else {
            assert!(matches!(admitted, Err(Denied::NotAllowed { .. })), "{right:?}: {admitted:?}");
        }
        assert_eq!(
            access.admit(&basic("ann", "x"), ELSEWHERE, right, None).await,
            Err(Denied::BadCredentials)
        );
    }
}

#[tokio::test]
async fn an_agent_needs_a_token_for_us_and_a_person_may_show_either() {
    let (access, _) = in_a_cluster().await;
    let admit = async |token: &str, right| access.admit(&bearer(token), ELSEWHERE, right, None).await;
    let agent = admit("agent@namewarden", Right::FetchSet).await.unwrap();
    assert_eq!(agent.node.as_deref(), Some("node-1"));
    assert_eq!(admit("agent@api", Right::FetchSet).await, Err(Denied::BadCredentials));
    assert!(matches!(admit("ann@namewarden", Right::FetchSet).await, Err(Denied::NotAllowed { .. })));
    assert!(matches!(admit("agent@namewarden", Right::Replicate).await, Err(Denied::NotAllowed { .. })));
    assert!(admit("ann@api", Right::ReadFeeds).await.is_ok());
    assert!(admit("ann@namewarden", Right::ReadFeeds).await.is_ok());
    assert_eq!(admit("ann@elsewhere", Right::ReadFeeds).await, Err(Denied::BadCredentials));
}

#[tokio::test]
async fn a_person_may_what_the_api_server_says() {
    let (access, server) = in_a_cluster().await;
    let push = async |token: &str| {
        access.admit(&basic("elastic", token), ELSEWHERE, Right::Push, Some("feed-a")).await
    };
    assert!(push("ann@api").await.is_ok());
    let refused = push("bob@api").await.unwrap_err();
    let expected =
        "bob may not push to this feed: it takes `update` on globalthreatfeeds.projectcalico.org/domains";
    assert_eq!(refused.to_string(), expected);
    let asked = server.access_reviews.lock().unwrap()[0].clone();
    assert_eq!(asked["groups"], json!(["staff"]));
    assert_eq!(
        asked["resourceAttributes"],
        json!({ "group": "projectcalico.org", "version": "v3", "resource": "globalthreatfeeds",
            "subresource": "domains", "verb": "update", "name": "feed-a" })
    );
}

#[tokio::test]
async fn answers_are_kept_also_those_that_say_no() {
    let (access, server) = in_a_cluster().await;
    for _ in 0..5 {
        access.admit(&bearer("ann@api"), ELSEWHERE, Right::Push, Some("a")).await.unwrap();
        access.admit(&bearer("stranger"), ELSEWHERE, Right::FetchSet, None).await.unwrap_err();
    }
    assert_eq!(server.token_reviews.load(Ordering::SeqCst), 2);
    assert_eq!(server.access_reviews.lock().unwrap().len(), 1);
    access.admit(&bearer("ann@api"), ELSEWHERE, Right::Push, Some("b")).await.unwrap();
    assert_eq!(server.access_reviews.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_api_server_that_is_away_admits_nobody_and_calls_nobody_a_stranger() {
    let (access, server) = in_a_cluster().await;
    server.is_down.store(true, Ordering::SeqCst);
    let refused = access.admit(&bearer("ann@api"), ELSEWHERE, Right::Push, None).await;
    assert!(matches!(refused, Err(Denied::Unavailable { .. })), "{refused:?}");
    server.is_down.store(false, Ordering::SeqCst);
    assert!(access.admit(&bearer("ann@api"), ELSEWHERE, Right::Push, None).await.is_ok());
}

#[tokio::test]
async fn guessing_tokens_ends_after_a_few_while_known_ones_go_on() {
    let (access, server) = in_a_cluster().await;
    access.admit(&bearer("agent@namewarden"), ELSEWHERE, Right::FetchSet, None).await.unwrap();
    for number in 0..100 {
        access
            .admit(&bearer(&format!("guess-{number}")), ELSEWHERE, Right::FetchSet, None)
            .await
            .unwrap_err();
    }
    assert_eq!(server.token_reviews.load(Ordering::SeqCst), 31);
    let guess = access.admit(&bearer("another"), ELSEWHERE, Right::FetchSet, None).await;
    assert!(matches!(guess, Err(Denied::TooManyFailures { .. })), "{guess:?}");
    assert!(access.admit(&bearer("agent@namewarden"), ELSEWHERE, Right::FetchSet, None).await.is_ok());
    assert!(access.admit(&bearer("ann@api"), HERE, Right::ReadFeeds, None).await.is_ok());
}

#[tokio::test]
async fn guesses_that_come_at_once_share_one_budget() {
    let (access, server) = in_a_cluster().await;
    let tokens: Vec<_> = (0..500).map(|number| bearer(&format!("guess-{number}"))).collect();
    let guesses = tokens.iter().map(|token| access.admit(token, ELSEWHERE, Right::FetchSet, None));
    let answers = futures::future::join_all(guesses).await;
    assert!(answers.iter().all(Result::is_err));
    // As many as may be wrong, and those that were under way when the last of them came back.
    let asked = server.token_reviews.load(Ordering::SeqCst);
    assert!((30..=94).contains(&asked), "{asked}");
}
