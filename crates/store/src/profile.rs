//! The profile files of Amazon's own tools: `~/.aws/credentials` and `~/.aws/config`.
//!
//! Which files and sections are read, and in which order, is what the documentation of the AWS CLI says under "Configuration and
//! credential file settings".

use configparser::ini::{Ini, IniDefault};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

type Section = HashMap<String, Option<String>>;

/// What a profile may say, in the words of its files.
const KEYS: [&str; 5] = ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", OTHERS[0], OTHERS[1]];
/// What of it is no credential.
const OTHERS: [&str; 2] = ["region", "endpoint_url"];
/// Ways to credentials that only Amazon's own tools go.
const OTHER_WAYS: [&str; 5] = ["role_arn", "sso_session", "sso_start_url", "credential_process", "login_session"];

/// Values of the profile that `AWS_PROFILE` names, else of `default`, by the keys of the files; `credentials` counts before
/// `config`. Credentials are left out where the environment has some. `var` gives variables of the environment.
pub(crate) fn profile(var: impl Fn(&str) -> Option<String>) -> Result<Vec<(&'static str, String)>, String> {
    let named = var("AWS_PROFILE").or_else(|| var("AWS_DEFAULT_PROFILE"));
    let name = named.as_deref().unwrap_or("default");
    // Both count before the files; of what goes together, the files give all or nothing.
    let own = var("AWS_ACCESS_KEY_ID").is_some() || var("AWS_WEB_IDENTITY_TOKEN_FILE").is_some();
    let home = var("HOME").or_else(|| var("USERPROFILE")).map(PathBuf::from);
    let file = |variable, file| {
        let path = var(variable).map(PathBuf::from).or_else(|| Some(home.as_ref()?.join(".aws").join(file)));
        path.map_or_else(|| Ok(HashMap::new()), |path| read(&path))
    };
    let credentials = file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
    let config = file("AWS_CONFIG_FILE", "config")?;
    let section = |file: &HashMap<String, Section>, name: &str| file.get(name).cloned();
    let sections: Vec<Section> = [
        section(&credentials, name),
        section(&config, &format!("profile {name}")),
        (name == "default").then(|| section(&config, name)).flatten(),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let (true, Some(name)) = (sections.is_empty(), &named) {
        return Err(format!(
            "there is no profile {name} in ~/.aws/credentials or ~/.aws/config; AWS_PROFILE or AWS_DEFAULT_PROFILE names it"
        ));
    }
    let value = |key: &str| {
        let mut values = sections.iter().filter_map(|section| section.get(key)?.as_deref());
        values.find(|value| !value.is_empty())
    };
    let keys = if own { &OTHERS[..] } else { &KEYS[..] };
    let found: Vec<_> = keys.iter().filter_map(|&key| Some((key, value(key)?.to_owned()))).collect();
    let way = OTHER_WAYS.into_iter().find(|way| value(way).is_some());
    if let (false, Some(name), None, Some(way)) = (own, &named, value("aws_access_key_id"), way) {
        return Err(format!(
            "the profile {name} has {way} instead of a key; `aws configure export-credentials --profile {name} --format env` \
             writes its credentials as variables"
        ));
    }
    Ok(found)
}

/// The sections of a file. A file that is not there says nothing.
fn read(path: &Path) -> Result<HashMap<String, Section>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut form = IniDefault::default();
    (form.case_sensitive, form.multiline, form.enable_inline_comments) = (true, true, false);
    form.delimiters = vec!['='];
    // The parser's message may quote a secret.
    Ini::new_from_defaults(form).read(text).map_err(|_| format!("{}: write [PROFILE], and KEY = VALUE", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(credentials: &str, config: &str, name: Option<&str>) -> Result<Vec<(&'static str, String)>, String> {
        found_beside(credentials, config, name, "")
    }

    /// With a variable of the environment.
    fn found_beside(
        credentials: &str,
        config: &str,
        name: Option<&str>,
        set: &str,
    ) -> Result<Vec<(&'static str, String)>, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".aws")).unwrap();
        std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
        std::fs::write(home.path().join(".aws/config"), config).unwrap();
        let found = profile(|variable| match variable {
            "HOME" => Some(home.path().display().to_string()),
            "AWS_PROFILE" => name.map(str::to_owned),
            _ => (variable == set).then(|| "E1".to_owned()),
        });
        found.map_err(|message| message.replace(&home.path().display().to_string(), "~"))
    }

    const CREDENTIALS: &str = "[default]\naws_access_key_id = A1\naws_secret_access_key=a/b+c\\d==\n\n[night]\naws_access_key_id=N1\n\
                               aws_secret_access_key=n\naws_session_token = t\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\n# a comment\n[profile night]\nregion=eu-central-1\ns3 =\n    \
                          max_concurrent_requests = 20\nendpoint_url = http://store:9000\n";

    #[test]
    fn credentials_and_config_together_make_a_profile() {
        let value = |name, key| {
            let found = found(CREDENTIALS, CONFIG, name).unwrap();
            found.into_iter().find(|(found, _)| *found == key).map(|(_, value)| value)
        };
        assert_eq!(value(None, "aws_access_key_id").as_deref(), Some("A1"));
        assert_eq!(value(None, "aws_secret_access_key").as_deref(), Some("a/b+c\\d=="));
        assert_eq!(value(None, "region").as_deref(), Some("eu-west-1"));
        assert_eq!(value(None, "aws_session_token"), None);
        assert_eq!(value(Some("night"), "aws_session_token").as_deref(), Some("t"));
        assert_eq!(value(Some("night"), "region").as_deref(), Some("eu-central-1"));
        assert_eq!(value(Some("night"), "endpoint_url").as_deref(), Some("http://store:9000"));
    }

    #[test]
    fn a_profile_that_cannot_be_used_says_why() {
        let message = |credentials, config, name| found(credentials, config, name).unwrap_err();
        assert!(message(CREDENTIALS, CONFIG, Some("day")).contains("no profile day"));
        let sso = "[profile day]\nsso_session = corp\nregion = x\n";
        let told = message("", sso, Some("day"));
        assert!(told.contains("sso_session") && told.contains("export-credentials --profile day"), "{told}");
        assert_eq!(found("", "", None).unwrap(), []);
        // Where the environment has credentials, as that message advises, the profile's are not wanted.
        for set in ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE"] {
            assert_eq!(found_beside("", sso, Some("day"), set).unwrap(), [("region", "x".to_owned())]);
            let found = found_beside(CREDENTIALS, CONFIG, None, set).unwrap();
            assert_eq!(found, [("region", "eu-west-1".to_owned())]);
        }
        assert_eq!(profile(|_| None).unwrap(), []);
        assert_eq!(message("[default\nsecret\n", "", None), "~/.aws/credentials: write [PROFILE], and KEY = VALUE");
    }
}
