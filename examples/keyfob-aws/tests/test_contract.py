"""The contract of keyfob's plugins, against this one."""

from keyfob.testing.contract import Contract


class TestAws(Contract):
    key = "aws"
    options = {"region": "eu-west-1"}
    environ = {
        "AWS_ACCESS_KEY_ID": "AKIATEAM",
        "AWS_SECRET_ACCESS_KEY": "canary-of-the-team",
        "AWS_SESSION_TOKEN": "canary-of-the-session",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    optional = ("AWS_SESSION_TOKEN", "AWS_EC2_METADATA_DISABLED")
