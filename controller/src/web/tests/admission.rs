//! Each route x each kind of caller: a new route has no row, and is served to nobody until it gets one.

use reqwest::StatusCode;

use super::served::{self, ALIAS, Served, TOKEN, With, start, start_with};
use crate::{
    access::{Access, Htpasswd, Right, TokenFile},
    web::routes::{ROUTES, Route},
};

fn path(route: &Route) -> String {
    let path = route.path.replace("{index}", ALIAS).replace("{feed}", "pushed");
    path.replace("{digest}", &"0".repeat(64))
        .replace("{name}", "logs-namewarden.alert-default")
        .replace("{group}", "a")
}

async fn status(served: &Served, method: &str, path: &str, credentials: Option<(&str, &str)>) -> StatusCode {
    let request =
        served.ask_bare(method, path).header("content-type", "application/json").body("{\"domains\":[]}");
    let request = match credentials {
        Some((user, password)) => request.basic_auth(user, Some(password)),
        None => request,
    };
    request.send().await.unwrap().status()
}

fn with_users() -> Served {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    std::fs::write(folder.path().join("users"), format!("ann:{}", bcrypt::hash("horse", 4).unwrap()))
        .unwrap();
    let access = Access::token_file(TokenFile::open(&folder.path().join("token")).unwrap())
        .with_users(Htpasswd::open(&folder.path().join("users")).unwrap());
    start_with(With { access: Some(access), ..With::default() })
}

#[tokio::test]
async fn each_route_admits_who_may_and_nobody_else() {
    let served = with_users();
    for route in ROUTES {
        for method in route.methods {
            let path = path(route);
            let to = |credentials| status(&served, method, &path, credentials);
            let what = format!("{method} {path}");
            let Some(right) = route.right else {
                assert_ne!(to(None).await, StatusCode::UNAUTHORIZED, "{what}");
                continue;
            };
            assert_eq!(to(None).await, StatusCode::UNAUTHORIZED, "{what}");
            assert_eq!(to(Some(("elastic", "wrong"))).await, StatusCode::UNAUTHORIZED, "{what}");
            let users = to(Some(("ann", "horse"))).await;
            let is_hers = matches!(right, Right::Push | Right::ReadPush | Right::Identify);
            assert_eq!(users == StatusCode::FORBIDDEN, !is_hers, "{what}: {users}");
            let admitted = to(Some(("elastic", TOKEN))).await;
            assert!(
                admitted != StatusCode::UNAUTHORIZED && admitted != StatusCode::FORBIDDEN,
                "{what}: {admitted}"
            );
            assert_ne!(
                admitted,
                StatusCode::METHOD_NOT_ALLOWED,
                "{what} is in the table and not in the router"
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_route_is_closed_to_strangers() {
    let served = start();
    for (method, path) in
        [("GET", "/v2"), ("POST", "/_msearch"), ("DELETE", "/v1/threat-set"), ("GET", "/../etc/passwd")]
    {
        assert_eq!(status(&served, method, path, None).await, StatusCode::UNAUTHORIZED, "{method} {path}");
        let admitted = status(&served, method, path, Some(("", TOKEN))).await;
        let expected = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        assert!(expected.contains(&admitted), "{method} {path}: {admitted}");
    }
}

#[tokio::test]
async fn a_stranger_is_told_which_credentials_are_taken() {
    let served = start();
    let response = served.ask_bare("GET", "/v1/feeds").send().await.unwrap();
    let challenges: Vec<_> = response.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, ["Bearer realm=\"namewarden\"", "Basic realm=\"namewarden\", charset=\"UTF-8\""]);
    let response = served.ask_bare("PUT", &format!("/{ALIAS}/_doc/pushed")).send().await.unwrap();
    assert_eq!(response.headers()["x-elastic-product"], "Elasticsearch");
    let body = served::json(response).await;
    assert_eq!(body["error"]["type"], "security_exception");
    assert_eq!(body["status"], 401);
}
