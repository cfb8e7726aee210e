"""What no schema sees: whether the parts of an overlay fit one another and the project's settings."""

import re

import given
import manual
import overlay
from objects import made_of, of_kind, pod_of, pods, sources, takes
from project import OVERLAYS, ROOT, load, name_of, rendered, report

SERVICES = {"scheduler", "renderer", "dispatcher"}


def selectors(documents):
    """Every selector of labels that must take some pod, and who has it."""
    for each in of_kind(documents, "Deployment", "PodDisruptionBudget", "PodMonitor"):
        yield each, each["spec"]["selector"]
    for each in of_kind(documents, "Service"):
        yield each, {"matchLabels": each["spec"]["selector"]}
    for each in of_kind(documents, "NetworkPolicy"):
        yield each, each["spec"]["podSelector"]
    for each in of_kind(documents, "Deployment"):
        for spread in pod_of(each).get("topologySpreadConstraints", []):
            yield each, spread["labelSelector"]


def stray_selectors(documents):
    """Selectors that take no pod, and Deployments that do not take their own."""
    faults = []
    for owner, selector in selectors(documents):
        if not any(takes(selector, labels) for _, labels in pods(documents)):
            faults.append(f"{name_of(owner)}: its selector takes no pod")
    for deployment, labels in pods(documents):
        own = deployment["spec"]["selector"]
        if not takes(own, labels):
            faults.append(f"{name_of(deployment)}: its selector does not take its own pods")
        others = [name_of(other) for other, theirs in pods(documents) if other is not deployment and takes(own, theirs)]
        faults += [f"{name_of(deployment)}: its selector takes pods of {other}" for other in others]
    return faults


def missing_sources(documents):
    """ConfigMaps, Secrets, keys and accounts that pods name and nobody gives."""
    made = made_of(documents)
    faults = []
    for deployment, _ in pods(documents):
        spec = pod_of(deployment)
        account = spec.get("serviceAccountName")
        if account and ("ServiceAccount", account) not in made:
            faults.append(f"{name_of(deployment)}: no ServiceAccount {account}")
        for kind, name, keys in sources(spec):
            found = made.get((kind, name))
            # Secrets are often given from outside: given.py has those.
            if found is None and kind != "Secret":
                faults.append(f"{name_of(deployment)}: no {kind} {name}")
            for key in keys:
                if found is not None and key not in found.get("data", {}):
                    faults.append(f"{name_of(deployment)}: {kind} {name} has no {key}")
        mounted = {mount["name"] for each in spec["containers"] for mount in each.get("volumeMounts", [])}
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        faults += [f"{name_of(deployment)}: volume {name} is on one side only" for name in mounted ^ volumes]
    return faults


def unsafe_pods(documents):
    """Pods that Pod Security `restricted` or our own rules refuse."""
    faults = []
    for deployment, _ in pods(documents):
        spec = pod_of(deployment)
        context = spec.get("securityContext", {})
        wanted = {
            "runAsNonRoot": context.get("runAsNonRoot") is True,
            "runAsUser": context.get("runAsUser", 0) > 0,
            "seccompProfile": context.get("seccompProfile", {}).get("type") == "RuntimeDefault",
            "automountServiceAccountToken": spec.get("automountServiceAccountToken") is False,
            "enableServiceLinks": spec.get("enableServiceLinks") is False,
        }
        for container in spec["containers"]:
            own = container.get("securityContext", {})
            wanted |= {
                "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
                "capabilities": own.get("capabilities", {}).get("drop") == ["ALL"],
                "memory limit": "memory" in container.get("resources", {}).get("limits", {}),
                # Who listens to nobody is always ready.
                "readinessProbe": "readinessProbe" in container or not container.get("ports"),
            }
        faults += [f"{name_of(deployment)}: {what}" for what, holds in wanted.items() if not holds]
    return faults


def unfit_services(documents):
    """What the three services have that others need not: probes, budget, a grace above their own."""
    faults = []
    budgets = [each["spec"]["selector"] for each in of_kind(documents, "PodDisruptionBudget")]
    grace = seconds(re.search(r'^grace = "(\d+s)"', read_settings(), re.M)[1])
    for deployment, labels in pods(documents):
        if labels.get("app.kubernetes.io/component") not in SERVICES:
            continue
        spec = pod_of(deployment)
        container = spec["containers"][0]
        wanted = {
            # The last confirms and acks come after the grace: up to 5 s, and a margin.
            "grace above shutdown.grace": spec["terminationGracePeriodSeconds"] >= grace + 10,
            "three probes": {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(),
            "readOnlyRootFilesystem": container["securityContext"].get("readOnlyRootFilesystem") is True,
            "a disruption budget": sum(takes(budget, labels) for budget in budgets) == 1,
            "no secret in the environment": not any("secretKeyRef" in str(each) for each in container.get("env", [])),
            "port metrics": [port["name"] for port in container["ports"]] == ["metrics"],
        }
        faults += [f"{name_of(deployment)}: {what}" for what, holds in wanted.items() if not holds]
    found = {each["metadata"]["name"] for each in of_kind(documents, "Deployment")}
    return faults + [f"no Deployment {name}" for name in SERVICES - found]


def unfit_versions(documents):
    """Pods of the fleet whose label says another release than their image."""
    faults = []
    for deployment, labels in pods(documents):
        tag = pod_of(deployment)["containers"][0]["image"].rpartition(":")[2]
        for owner in (labels, deployment["metadata"]["labels"]):
            said = owner.get("app.kubernetes.io/version")
            if labels.get("app.kubernetes.io/name") == "promemoria" and said != tag:
                faults.append(f"{name_of(deployment)}: the label of the version is {said}, the image's tag {tag}")
    return faults


def read_settings():
    """The example settings, which state every default."""
    return (ROOT / "deploy/config/fleet.toml").read_text(encoding="utf-8")


def seconds(duration):
    """Seconds of a duration as the settings write it."""
    return int(duration.removesuffix("s"))


def unfit_scaling(documents):
    """Autoscalers: one a Deployment, which then says no replicas; bounds; triggers that fit."""
    deployments = {each["metadata"]["name"]: each for each in of_kind(documents, "Deployment")}
    faults, scaled = [], set()
    for scaler in of_kind(documents, "ScaledObject", "HorizontalPodAutoscaler"):
        spec, name = scaler["spec"], scaler["spec"]["scaleTargetRef"]["name"]
        if name not in deployments:
            faults.append(f"{name_of(scaler)}: no Deployment {name}")
        elif "replicas" in deployments[name]["spec"]:
            faults.append(f"{name_of(scaler)}: Deployment {name} states its replicas too")
        if name in scaled:
            faults.append(f"{name_of(scaler)}: a second autoscaler of {name}")
        scaled.add(name)
        # KEDA's names, else the built-in autoscaler's.
        least = spec.get("minReplicaCount", spec.get("minReplicas"))
        most = spec.get("maxReplicaCount", spec.get("maxReplicas"))
        if not 2 <= least < most:
            faults.append(f"{name_of(scaler)}: from {least} to {most} replicas")
        for trigger in spec.get("triggers", []):
            faults += [f"{name_of(scaler)}: {fault}" for fault in unfit_trigger(documents, trigger)]
    for name, deployment in deployments.items():
        if name not in scaled and "replicas" not in deployment["spec"]:
            faults.append(f"Deployment {name}: neither replicas nor an autoscaler")
    return faults


def unfit_trigger(documents, trigger):
    """A queue that is not there or counted in part, another fleet's backlog, or an authentication that is not there."""
    queues = {queue["name"] for queue in load("deploy/rabbitmq/definitions.json")["queues"]}
    queue = trigger["metadata"].get("queueName")
    faults = []
    if queue and queue not in queues:
        faults.append(f"no queue {queue}")
    if queue and trigger["metadata"].get("excludeUnacknowledged") != "false":
        faults.append(f"{queue} without the unacknowledged")
    query = trigger["metadata"].get("query")
    own = [f'namespace="{each["metadata"]["name"]}"' for each in of_kind(documents, "Namespace")]
    if query and not any(matcher in query for matcher in own):
        faults.append(f"the query is not of {own}: {query}")
    wanted = trigger.get("authenticationRef", {}).get("name")
    there = {each["metadata"]["name"] for each in of_kind(documents, "TriggerAuthentication")}
    return faults + ([f"no TriggerAuthentication {wanted}"] if wanted and wanted not in there else [])


def strangers(documents):
    """Things outside the overlay's namespace, or without the label that says whose they are."""
    names = {each["metadata"]["name"] for each in of_kind(documents, "Namespace")}
    if len(names) != 1:
        return [f"{len(names)} namespaces: {sorted(names)}"]
    cluster_wide = of_kind(documents, "Namespace")
    inside = [each for each in documents if each not in cluster_wide]
    faults = [f"{name_of(each)}: outside" for each in inside if each["metadata"].get("namespace") not in names]
    labels = cluster_wide[0]["metadata"]["labels"]
    if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
        faults.append("the namespace does not enforce `restricted`")
    return faults


CHECKS = (
    *(stray_selectors, missing_sources, unsafe_pods, unfit_services, unfit_versions),
    *(unfit_scaling, strangers),
    *(given.ungiven, manual.unfit, overlay.inline_keys),
)


def faults_of(documents):
    """Everything that is wrong with a rendered overlay."""
    return [fault for check in CHECKS for fault in check(documents)]


if __name__ == "__main__":
    found = {name: faults_of(rendered(name)) + overlay.unused_files(f"k8s/overlays/{name}") for name in OVERLAYS}
    report([f"{name}: {fault}" for name, faults in found.items() for fault in faults])
