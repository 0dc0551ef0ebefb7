//! The catalog over a store in memory: what a repeat, a change and a removal leave.

use bedplate_catalog::{
    AliasError, AliasUpdate, Arn, Catalog, CreateError, MachineError, MachineUpdate, NewAlias, NewMachine, Options,
    Origin, PageQuery, PublishError, Route, Scope, Tag, TagError, Target, VersionError,
};
use bedplate_core::{
    agent::AgentDefinition,
    id::{ContentHash, Tenant},
    port::{
        definitions::{Definitions, PinnedAgent, ProjectWorkflow},
        workflows::{ResolveError, Workflows},
    },
    time::Timestamp,
};
use bedplate_store::MemoryStore;
use bedplate_testkit::clock::{SimClock, SimEntropy};
use futures::executor::block_on;
use std::sync::Arc;

const PASS: &str = r#"{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}"#;
const OTHER: &str = r#"{"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}"#;

struct Project;

impl Definitions for Project {
    fn agent(&self, _: &str) -> Option<PinnedAgent> {
        None
    }

    fn agents(&self) -> Vec<PinnedAgent> {
        Vec::new()
    }

    fn default_agent(&self) -> Option<PinnedAgent> {
        None
    }

    fn route_of_model_id(&self, _: &str) -> Option<String> {
        None
    }

    fn workflow(&self, name: &str) -> Option<Arc<ProjectWorkflow>> {
        self.workflows().into_iter().find(|declared| &*declared.name == name)
    }

    fn workflows(&self) -> Vec<Arc<ProjectWorkflow>> {
        vec![Arc::new(ProjectWorkflow {
            name: "refund".into(),
            hash: ContentHash::of(PASS.as_bytes()),
            text: PASS.into(),
            express: false,
            role: None,
            logging: None,
            file: "workflows/refund.asl.json".into(),
            mocks: Arc::default(),
        })]
    }

    fn project_name(&self) -> String {
        "test".into()
    }

    fn render_system(&self, _: &AgentDefinition, _: &str, _: &str) -> Result<Arc<str>, String> {
        Err("there is no agent".into())
    }
}

fn catalog() -> Catalog {
    Catalog::new(Options {
        documents: MemoryStore::new().documents(),
        definitions: Arc::new(Project),
        clock: Arc::new(SimClock::at(Timestamp(1_000))),
        entropy: Arc::new(SimEntropy::new(7)),
    })
}

fn new(name: &str) -> NewMachine {
    NewMachine { name: name.into(), definition: PASS.into(), role: "role".into(), ..NewMachine::default() }
}

fn here() -> (Tenant, Scope) {
    (Tenant::default(), Scope::default())
}

#[test]
fn a_repeated_create_gives_what_is_there_and_another_one_is_refused() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    let first = block_on(catalog.create_machine(&tenant, &scope, new("m"))).expect("it is made");
    let again = block_on(catalog.create_machine(&tenant, &scope, NewMachine { role: "other".into(), ..new("m") }));
    assert_eq!(again.expect("a repeat joins"), first);
    let other = NewMachine { definition: OTHER.into(), ..new("m") };
    assert!(matches!(block_on(catalog.create_machine(&tenant, &scope, other)), Err(CreateError::Exists)));
    let broken = NewMachine { definition: "{}".into(), ..new("n") };
    assert!(matches!(block_on(catalog.create_machine(&tenant, &scope, broken)), Err(CreateError::Definition(_))));
}

#[test]
fn two_accounts_and_two_tenants_share_nothing() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    block_on(catalog.create_machine(&tenant, &scope, new("m"))).expect("it is made");
    let elsewhere = Scope { account: "111111111111".into(), ..Scope::default() };
    assert!(matches!(block_on(catalog.machine(&tenant, &elsewhere, "m")), Err(MachineError::NotFound)));
    assert!(matches!(block_on(catalog.machine(&"b".into(), &scope, "m")), Err(MachineError::NotFound)));
}

#[test]
fn a_version_stays_what_it_was_and_its_number_is_never_given_again() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    let made = block_on(catalog.create_machine(&tenant, &scope, NewMachine { publish: true, ..new("m") }));
    assert_eq!(made.expect("it is made").version.map(|version| version.number), Some(1));
    let same = block_on(catalog.publish_version(&tenant, &scope, "m", Some("INITIAL"), None));
    assert_eq!(same.expect("nothing has changed").number, 1);
    let change = MachineUpdate { definition: Some(OTHER.into()), publish: true, ..MachineUpdate::default() };
    let updated = block_on(catalog.update_machine(&tenant, &scope, "m", change)).expect("it changes");
    assert_eq!(updated.version.map(|version| version.number), Some(2));
    let first = block_on(catalog.version(&tenant, &scope, "m", 1)).expect("it is there");
    let text = block_on(catalog.definition(&tenant, first.machine.definition)).expect("the store answers");
    assert_eq!(text.as_deref(), Some(PASS));
    block_on(catalog.delete_version(&tenant, &scope, "m", 2)).expect("nothing leads to it");
    let change = MachineUpdate { role: Some("new".into()), publish: true, ..MachineUpdate::default() };
    let third = block_on(catalog.update_machine(&tenant, &scope, "m", change)).expect("it changes").version;
    assert_eq!(third.map(|version| version.number), Some(3));
    let stale = block_on(catalog.publish_version(&tenant, &scope, "m", Some("INITIAL"), None));
    assert!(matches!(stale, Err(PublishError::Revision { .. })));
    let listed = block_on(catalog.versions(&tenant, &scope, "m", PageQuery::default())).expect("the store answers");
    assert_eq!(listed.items.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn an_alias_leads_to_what_exists_and_holds_its_versions() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    block_on(catalog.create_machine(&tenant, &scope, NewMachine { publish: true, ..new("m") })).expect("it is made");
    let change = MachineUpdate { definition: Some(OTHER.into()), publish: true, ..MachineUpdate::default() };
    block_on(catalog.update_machine(&tenant, &scope, "m", change)).expect("it changes");
    let alias = |routes: &[(u64, u32)]| NewAlias {
        name: "prod".into(),
        description: None,
        machine: "m".into(),
        routes: routes.iter().map(|(version, weight)| Route { version: *version, weight: *weight }).collect(),
    };
    let make = |new| block_on(catalog.create_alias(&tenant, &scope, new));
    assert!(matches!(make(alias(&[(9, 100)])), Err(AliasError::NoVersion(9))));
    assert!(matches!(make(alias(&[(1, 50), (2, 60)])), Err(AliasError::Weights)));
    assert!(matches!(make(alias(&[(1, 50), (1, 50)])), Err(AliasError::Routes)));
    let made = make(alias(&[(1, 30), (2, 70)])).expect("it is made");
    assert_eq!(make(alias(&[(1, 30), (2, 70)])).expect("a repeat joins"), made);
    assert!(matches!(make(alias(&[(1, 100)])), Err(AliasError::Exists)));
    let held = block_on(catalog.delete_version(&tenant, &scope, "m", 1));
    assert!(matches!(held, Err(VersionError::InUse(names)) if names == ["prod"]));

    let drawn = |high: u64| {
        let mut entropy = [0; 16];
        entropy[..8].copy_from_slice(&high.to_be_bytes());
        made.draw(entropy)
    };
    assert_eq!((drawn(29), drawn(30), drawn(99), drawn(100)), (Some(1), Some(2), Some(2), Some(1)));

    let all_to_two = AliasUpdate { routes: Some(vec![Route { version: 2, weight: 100 }]), ..AliasUpdate::default() };
    block_on(catalog.update_alias(&tenant, &scope, "m", "prod", all_to_two)).expect("it changes");
    let pinned = block_on(catalog.resolve(&tenant, &scope.alias("m", "prod"), [0; 16])).expect("it leads somewhere");
    assert_eq!(&*pinned.text, OTHER);
    assert_eq!(pinned.version.as_deref(), Some(scope.version("m", 2).as_str()));
    assert_eq!(pinned.qualified.as_deref(), Some(scope.alias("m", "prod").as_str()));
}

#[test]
fn what_is_removed_takes_its_versions_and_aliases_with_it() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    block_on(catalog.create_machine(&tenant, &scope, NewMachine { publish: true, ..new("m") })).expect("it is made");
    block_on(catalog.create_machine(&tenant, &scope, NewMachine { publish: true, ..new("m2") })).expect("it is made");
    assert_eq!(block_on(catalog.delete_machine(&tenant, &scope, "m")).ok(), Some(true));
    assert_eq!(block_on(catalog.delete_machine(&tenant, &scope, "m")).ok(), Some(false), "a repeat is no error");
    assert!(block_on(catalog.version(&tenant, &scope, "m", 1)).is_err());
    assert!(block_on(catalog.version(&tenant, &scope, "m2", 1)).is_ok(), "a longer name is another one's");
    let gone = block_on(catalog.resolve(&tenant, &scope.machine("m"), [0; 16]));
    assert!(matches!(gone, Err(ResolveError::NotFound(_))));
}

#[test]
fn a_workflow_of_the_project_is_a_state_machine_that_only_its_file_changes() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    let found = block_on(catalog.machine(&tenant, &scope, "refund")).expect("the project declares it");
    assert_eq!(found.origin, Origin::Project);
    assert_eq!(&*block_on(catalog.resolve(&tenant, "refund", [0; 16])).expect("by its name").text, PASS);
    let refused = block_on(catalog.create_machine(&tenant, &scope, new("refund")));
    assert!(matches!(refused, Err(CreateError::OfProject)));
    assert!(matches!(block_on(catalog.delete_machine(&tenant, &scope, "refund")), Err(MachineError::OfProject)));
    let tag = [Tag { key: "team".into(), value: "a".into() }];
    let target = Target::Machine("refund".into());
    block_on(catalog.tag(&tenant, &scope, &target, &tag)).expect("it takes tags");
    assert_eq!(block_on(catalog.tags(&tenant, &scope, &target)).ok(), Some(tag.to_vec()));
    for name in ["a", "z"] {
        block_on(catalog.create_machine(&tenant, &scope, new(name))).expect("it is made");
    }
    let names = |after: Option<&str>, limit| {
        let query = PageQuery { after: after.map(ToOwned::to_owned), limit };
        let page = block_on(catalog.machines(&tenant, &scope, query)).expect("the store answers");
        (page.items.into_iter().map(|machine| machine.name).collect::<Vec<_>>(), page.next)
    };
    assert_eq!(names(None, 10), (vec!["a".into(), "refund".into(), "z".into()], None));
    let version = block_on(catalog.publish_version(&tenant, &scope, "refund", None, None)).expect("it is published");
    assert_eq!(version.number, 1);
}

#[test]
fn tags_are_replaced_by_key_and_never_too_many() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    block_on(catalog.create_activity(&tenant, &scope, "act", &[], None)).expect("it is made");
    let target = Target::Activity("act".into());
    let tags = |range: std::ops::Range<u32>| -> Vec<Tag> {
        range.map(|at| Tag { key: format!("k{at:02}"), value: "v".into() }).collect()
    };
    block_on(catalog.tag(&tenant, &scope, &target, &tags(0..50))).expect("fifty fit");
    block_on(catalog.tag(&tenant, &scope, &target, &tags(10..20))).expect("the same keys again");
    assert!(matches!(block_on(catalog.tag(&tenant, &scope, &target, &tags(50..51))), Err(TagError::TooMany)));
    let keys: Vec<String> = tags(1..50).into_iter().map(|tag| tag.key).collect();
    block_on(catalog.untag(&tenant, &scope, &target, &keys)).expect("they go");
    assert_eq!(block_on(catalog.tags(&tenant, &scope, &target)).map(|tags| tags.len()).ok(), Some(1));
}

#[test]
fn pages_follow_each_other_without_a_gap() {
    let (catalog, (tenant, scope)) = (catalog(), here());
    for at in 0..7 {
        let made = block_on(catalog.create_activity(&tenant, &scope, &format!("a{at}"), &[], None));
        made.expect("it is made");
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = block_on(catalog.activities(&tenant, &scope, PageQuery { after, limit: 3 })).expect("a page");
        assert!(page.items.len() <= 3);
        seen.extend(page.items.into_iter().map(|activity| activity.name));
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, (0..7).map(|at| format!("a{at}")).collect::<Vec<_>>());
    assert!(Arn::parse(&scope.activity("a0")).is_ok());
}
