"""Dashboards: what Grafana needs to load them from a file, and what a reader needs on every panel."""

import re

from project import load, report, tracked

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def faults_of(board):
    """What is wrong with one dashboard."""
    variables = [variable["name"] for variable in board["templating"]["list"]]
    faults = [f"no {key}" for key in ("uid", "title", "description") if not board.get(key)]
    if variables[:2] != ["datasource", "namespace"]:
        faults.append("the first variables are not `datasource` and `namespace`")
    if "__inputs" in board:
        faults.append("exported for sharing: __inputs must not be there")
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)):
        faults.append("two panels have one id")
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    faults += [f"{panel['title']}: {fault}" for panel in panels for fault in panel_faults(panel)]
    return faults + overlaps(board)


def panel_faults(panel):
    """What is wrong with one panel."""
    faults = []
    if not panel.get("description"):
        faults.append("no description")
    if not panel["fieldConfig"]["defaults"].get("unit"):
        faults.append("no unit")
    if not panel.get("targets"):
        faults.append("no expression")
    if any(each.get("datasource") != DATASOURCE for each in (panel, *panel.get("targets", []))):
        faults.append("another data source than the variable's")
    faults += [f"a series of every namespace: {each['expr']}" for each in panel.get("targets", []) if mixes(each["expr"])]
    return faults


def mixes(expression):
    """Whether some selector of an expression takes the series of every namespace."""
    series = re.findall(r"(?:promemoria_|rabbitmq_|redis_)\w+(?::\w+)?|\bup\b", expression)
    return len(series) != expression.count('{namespace=~"$namespace"')


def overlaps(board):
    """Panels that lie on one another, or beyond the 24 columns."""
    places = [(panel["title"], panel["gridPos"]) for panel in board["panels"]]
    faults = [f"{title}: beyond the 24 columns" for title, at in places if at["x"] + at["w"] > 24]
    for index, (title, one) in enumerate(places):
        for other_title, two in places[index + 1 :]:
            apart = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
            apart = apart or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
            if not apart:
                faults.append(f"{title} lies on {other_title}")
    return faults


def main():
    boards = {path: load(path) for path in tracked("deploy/grafana/*.json")}
    faults = [f"{path}: {fault}" for path, board in boards.items() for fault in faults_of(board)]
    uids = [board["uid"] for board in boards.values()]
    if len(uids) != len(set(uids)):
        faults.append(f"a uid twice: {uids}")
    named = {file for each in load("deploy/grafana/kustomization.yaml")["configMapGenerator"] for file in each["files"]}
    faults += [f"{path}: not in the kustomization" for path in boards if path.rpartition("/")[2] not in named]
    report(faults)


if __name__ == "__main__":
    main()
