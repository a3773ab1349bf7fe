//! `sutazai admin ...`: manages users, for an operator with access to the database.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use sutazai::setup;
use sutazai_core::domain::{Caller, NewUser, UserRole};
use sutazai_core::{Error, Result};

use super::arguments::{Admin, SettingFlags};
use super::output;

/// Creates, invites or deletes a user.
pub(crate) async fn run(settings: &SettingFlags, command: &Admin) -> Result<ExitCode> {
    let config = settings.load(&[])?;
    let stores = setup::stores(&config).await?;
    let identity = setup::identity(&config, &stores, stores.clock.clone())?;
    match command {
        Admin::CreateUser { username, email, password_file, admin } => {
            let password = match password_file {
                Some(path) => read_password(path)?,
                None => ask_password()?,
            };
            let role = if *admin { UserRole::Admin } else { UserRole::User };
            let new = NewUser { username: username.clone(), email: email.clone(), password };
            let user = identity.create_user(new, role).await?;
            output::line(format_args!("{}  {}  {}", user.id, user.username, user.role.as_str()))?;
        }
        Admin::Invite { hours } => {
            let created = identity.invite(&Caller::System, *hours).await?;
            output::line(format_args!("{}", created.text))?;
        }
        Admin::DeleteUser { login, yes } => {
            let found = stores.identity.user_by_login(login).await?;
            let user = found.ok_or_else(|| Error::not_found(format!("user {login}")))?;
            if !yes && !confirms(&user.username)? {
                return Err(Error::cancelled("nothing was deleted"));
            }
            identity.delete_user(&Caller::System, user.id).await?;
            output::line(format_args!("{}  {}  deleted", user.id, user.username))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the operator to type the username, and returns whether it matches.
fn confirms(username: &str) -> Result<bool> {
    eprint!(
        "Deletes {username} with all their tasks, documents, conversations, schedules and keys. Type the username: "
    );
    let mut typed = String::new();
    let read = std::io::stdin().read_line(&mut typed);
    read.map_err(|e| Error::invalid("--yes", format!("no terminal to ask on ({e})")))?;
    Ok(typed.trim() == username)
}

fn read_password(path: &Path) -> Result<String> {
    let read = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text =
        read.map_err(|e| Error::invalid("--password-file", format!("cannot read {}: {e}", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn ask_password() -> Result<String> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map_err(|e| {
            Error::invalid("--password-file", format!("no terminal to ask on ({e}); name a file or -"))
        })
    };
    let password = ask("Password: ")?;
    if ask("Again: ")? != password {
        return Err(Error::invalid("password", "the two entries differ"));
    }
    Ok(password)
}
