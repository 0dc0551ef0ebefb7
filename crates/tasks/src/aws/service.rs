//! The services of AWS that tasks reach: where each is, how it is spoken to, and what its failures are called.

/// A service.
#[derive(Debug)]
pub struct Service {
    /// Its names in resources, without `aws-sdk:`; the first is also the one in `[aws_endpoints]`.
    pub names: &'static [&'static str],
    /// Its part of an address of AWS, and of a signature's scope.
    pub prefix: &'static str,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Its name in failures of the optimised integration.
    pub optimised: &'static str,
    /// Its name in failures of the SDK integration.
    pub sdk: &'static str,
}

/// How a service is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// JSON with the operation in a header.
    Json {
        /// `1.0` or `1.1`.
        version: &'static str,
        /// What stands before the operation in the header.
        target: &'static str,
        /// Whether the names of fields begin small on the wire.
        small: bool,
    },
    /// A form that is posted, and XML back: SNS.
    Query {
        /// The version of the API.
        version: &'static str,
    },
    /// Objects by their address: S3.
    S3,
}

const fn json(version: &'static str, target: &'static str) -> Protocol {
    Protocol::Json { version, target, small: false }
}

const fn small(version: &'static str, target: &'static str) -> Protocol {
    Protocol::Json { version, target, small: true }
}

/// All services.
pub const SERVICES: &[Service] = &[
    Service { names: &["sqs"], prefix: "sqs", protocol: json("1.0", "AmazonSQS"), optimised: "SQS", sdk: "Sqs" },
    Service {
        names: &["sns"],
        prefix: "sns",
        protocol: Protocol::Query { version: "2010-03-31" },
        optimised: "SNS",
        sdk: "Sns",
    },
    Service {
        names: &["dynamodb"],
        prefix: "dynamodb",
        protocol: json("1.0", "DynamoDB_20120810"),
        optimised: "DynamoDB",
        sdk: "DynamoDb",
    },
    Service {
        names: &["events", "eventbridge"],
        prefix: "events",
        protocol: json("1.1", "AWSEvents"),
        optimised: "EventBridge",
        sdk: "EventBridge",
    },
    Service { names: &["s3"], prefix: "s3", protocol: Protocol::S3, optimised: "S3", sdk: "S3" },
    Service {
        names: &["secretsmanager"],
        prefix: "secretsmanager",
        protocol: json("1.1", "secretsmanager"),
        optimised: "SecretsManager",
        sdk: "SecretsManager",
    },
    Service { names: &["ssm"], prefix: "ssm", protocol: json("1.1", "AmazonSSM"), optimised: "Ssm", sdk: "Ssm" },
    Service { names: &["kms"], prefix: "kms", protocol: json("1.1", "TrentService"), optimised: "Kms", sdk: "Kms" },
    Service {
        names: &["kinesis"],
        prefix: "kinesis",
        protocol: json("1.1", "Kinesis_20131202"),
        optimised: "Kinesis",
        sdk: "Kinesis",
    },
    Service {
        names: &["firehose"],
        prefix: "firehose",
        protocol: json("1.1", "Firehose_20150804"),
        optimised: "Firehose",
        sdk: "Firehose",
    },
    Service {
        names: &["cloudwatchlogs", "logs"],
        prefix: "logs",
        protocol: small("1.1", "Logs_20140328"),
        optimised: "CloudWatchLogs",
        sdk: "CloudWatchLogs",
    },
    Service {
        names: &["sfn", "states"],
        prefix: "states",
        protocol: small("1.0", "AWSStepFunctions"),
        optimised: "StepFunctions",
        sdk: "Sfn",
    },
    Service {
        names: &["ecs"],
        prefix: "ecs",
        protocol: small("1.1", "AmazonEC2ContainerServiceV20141113"),
        optimised: "ECS",
        sdk: "Ecs",
    },
    Service {
        names: &["athena"],
        prefix: "athena",
        protocol: json("1.1", "AmazonAthena"),
        optimised: "Athena",
        sdk: "Athena",
    },
    Service { names: &["glue"], prefix: "glue", protocol: json("1.1", "AWSGlue"), optimised: "Glue", sdk: "Glue" },
];

/// Returns the service that a resource calls `name`.
pub fn service(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.names.contains(&name))
}

/// Returns whether an operation only reads.
pub fn reads(action: &str) -> bool {
    ["get", "list", "describe", "head", "query", "scan", "batchGet"].iter().any(|word| action.starts_with(word))
}
