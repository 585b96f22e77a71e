"""The examples in deploy/ hold what the documentation says: commands, flags, paths, ports and variables that exist."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from cityorchestra_ld.cli.app import app
from cityorchestra_ld.model import Limits
from cityorchestra_ld.territory import Serving

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
COMMANDS = get_command(app).commands
CODE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "cityorchestra_ld").rglob("*.py"))
NGINX = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
CONTAINER = (DEPLOY / "Containerfile").read_text(encoding="utf-8")


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / name, encoding="utf-8")
    return parser


def environment(name):
    lines = (DEPLOY / name).read_text(encoding="utf-8").splitlines()
    return dict(line.removeprefix("Environment=").split("=", 1) for line in lines if line.startswith("Environment="))


def check(command):
    """Hold a command line against the command line that there is."""
    name, *arguments = command
    context = COMMANDS[name].make_context(name, [word for word in arguments if not word.startswith("/")])
    return context.params


def default(name):
    return next(parameter.default for parameter in COMMANDS["serve"].params if parameter.name == name)


@pytest.mark.parametrize("name", ["cityorchestra.service", "cityorchestra-run.service"])
def test_a_unit_runs_a_command_that_exists_where_it_may_write(name):
    service = unit(name)["Service"]
    program, *command = shlex.split(service["ExecStart"])
    assert program == "/opt/cityorchestra/bin/cityorchestra"
    check(command)
    if "serve" in command:
        assert service["LimitNICE"] == "+5"  # else each long query costs its worker
        assert service["LimitRTPRIO"] == "1" and "RestrictRealtime" not in service  # else the loop may not go first
    variables = environment(name)
    assert variables["CITYORCHESTRA_STATE"] == f"/var/lib/{service['StateDirectory']}"
    assert service["ProtectSystem"] == "strict" and service["NoNewPrivileges"] == "yes" and service["User"] != "root"
    assert all(variable in CODE for variable in variables)


def test_the_service_stops_its_answers_before_systemd_stops_it():
    service = unit("cityorchestra.service")["Service"]
    assert service["KillMode"] == "mixed"  # else the workers get the signal too, in the middle of their answers
    assert int(service["TimeoutStopSec"]) > Serving().stop_seconds
    assert unit("cityorchestra.service")["Unit"]["StartLimitIntervalSec"] == "0"  # it never gives up
    assert service["Restart"] == "always" and service["IPAddressDeny"] == "any"


def test_all_examples_agree_on_the_port_and_nginx_forwards_what_the_service_believes():
    port = check(shlex.split(unit("cityorchestra.service")["Service"]["ExecStart"])[1:])["port"]
    assert port == default("port")
    assert re.findall(r"server 127\.0\.0\.1:(\d+)", NGINX) == [str(port)]
    assert f"EXPOSE {port}" in CONTAINER and f"127.0.0.1:{port}/-/health" in CONTAINER
    assert environment("cityorchestra.service")["FORWARDED_ALLOW_IPS"] == "127.0.0.1"
    for header in ("X-Forwarded-For $remote_addr", "X-Forwarded-Proto $scheme", "X-Request-Id $request_id", "Host $host"):
        assert f"proxy_set_header {header};" in NGINX
    assert int(re.search(r"client_max_body_size (\d+)m;", NGINX)[1]) * 1_000_000 == Limits().upload_bytes
    assert int(re.search(r"proxy_read_timeout (\d+)s;", NGINX)[1]) > Limits().query_seconds


def test_nginx_keeps_metrics_inside_and_never_keeps_what_a_token_opened():
    assert "location = /-/metrics { return 404; }" in NGINX
    assert "proxy_cache_bypass $http_authorization;" in NGINX
    assert re.search(r"proxy_no_cache \$http_authorization \$\w+_not_kept;", NGINX)
    assert NGINX.count("{") == NGINX.count("}")
    assert all(line.strip().endswith((";", "{", "}")) for raw in NGINX.splitlines() if (line := raw.partition("#")[0]).strip())


def test_the_container_builds_from_what_there_is_and_runs_as_nobody():
    copied = {word for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINER, re.M) for word in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["force-include"], *wheel["packages"], project["project"]["readme"]} <= copied
    assert all(name in ("python:3.12-slim",) for name in re.findall(r"^FROM (\S+)", CONTAINER, re.M))
    user, command = re.search(r"^USER (\d+)", CONTAINER, re.M), re.search(r"^CMD (\[.*\])", CONTAINER, re.M)
    assert int(user[1]) > 0
    assert check(json.loads(command[1]))["host"] == "0.0.0.0"
    state = re.search(r"CITYORCHESTRA_STATE=(\S+)", CONTAINER)[1]
    assert f"VOLUME {state}" in CONTAINER and f"-m 0750 {state}" in CONTAINER and "HEALTHCHECK" in CONTAINER


def test_the_documentation_names_every_example_and_only_commands_that_exist():
    for path in DEPLOY.iterdir():
        assert f"deploy/{path.name}" in OPERATIONS, path.name
    written = re.findall(r"^    (?:sudo -u \S+ )?cityorchestra (.+?)(?:\s{2,}.*)?$", OPERATIONS, re.M)
    assert len(written) >= 5
    for command in written:
        words = shlex.split(command.partition("#")[0])
        group = COMMANDS[words[0]]
        assert not hasattr(group, "commands") or words[1] in group.commands, command
        flags = {flag for parameter in group.params for flag in parameter.opts}
        if not hasattr(group, "commands"):
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= flags, command
    for target in re.findall(r"`make ([a-z-]+)`", OPERATIONS):
        assert f"\n{target}:" in (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_understands_the_units(tmp_path):
    for path in DEPLOY.glob("cityorchestra*"):
        text = path.read_text(encoding="utf-8").replace("/opt/cityorchestra/bin/cityorchestra", "/bin/true")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    names = [str(path) for path in tmp_path.iterdir()]
    said = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False, timeout=60)
    ours = [line for line in said.stderr.splitlines() if "cityorchestra" in line]
    assert ours == []
