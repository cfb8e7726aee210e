"""The objects of a rendered overlay, and which of them take which."""


def of_kind(documents, *kinds):
    """The documents of these kinds."""
    return [document for document in documents if document["kind"] in kinds]


def pods(documents):
    """Deployments by the labels of their pods."""
    return [(each, each["spec"]["template"]["metadata"]["labels"]) for each in of_kind(documents, "Deployment")]


def pod_of(deployment):
    """The pod that a Deployment makes."""
    return deployment["spec"]["template"]["spec"]


def takes(selector, labels):
    """Whether a selector takes an object with these labels. Of expressions it knows `In`, which is all we use."""
    plain = selector.get("matchLabels", {})
    within = selector.get("matchExpressions", [])
    return plain.items() <= labels.items() and all(
        each["operator"] == "In" and labels.get(each["key"]) in each["values"] for each in within
    )


def sources(spec):
    """Kind, name and keys of what the volumes of a pod are filled from. kustomize has suffixed the names."""
    for volume in spec.get("volumes", []):
        plain = [volume] + volume.get("projected", {}).get("sources", [])
        for each in plain:
            if "configMap" in each:
                items = each["configMap"].get("items", [])
                yield "ConfigMap", each["configMap"]["name"], [item["key"] for item in items]
            if "secret" in each:
                given = each["secret"]
                yield "Secret", given.get("secretName") or given["name"], []


def made_of(documents):
    """What an overlay makes, by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}
