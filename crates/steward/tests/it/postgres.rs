//! The same stories over PostgreSQL, on a server of the test's own.

use steward_store::test_support::PostgresServer;
use steward_testkit::script::Script;

use crate::approvals::{approve_and_check, house_script, wait_for_question};
use crate::house::House;
use crate::main_job;

/// A database server and a house whose rows are there. The server must outlive the house.
async fn house_on_postgres(script: Script) -> (House, PostgresServer) {
    let server = tokio::task::spawn_blocking(|| PostgresServer::start().unwrap()).await.unwrap();
    let url = server.create_database("house").unwrap();
    let mut house = House::prepare(script).await;
    house.add_configuration(&format!("[store]\nurl = \"{url}\"\n"));
    house.serve().await;
    (house, server)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_is_done_on_postgresql() {
    let (house, _server) = house_on_postgres(Script::file_task()).await;
    main_job::by_command_line(&house).await;
    assert!(!house.home().join("steward.db").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_survives_a_crash_on_postgresql() {
    let (mut house, _server) = house_on_postgres(house_script()).await;
    let (turn, approval) = wait_for_question(&house).await;
    house.crash_and_restart().await;
    approve_and_check(&house, &turn, &approval).await;
}
