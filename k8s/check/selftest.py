"""The checks themselves: each must find a fault that is planted for it."""

import copy
import unittest

import alerts
import compose
import dashboards
import expressions
import generated
import manifests
import schemas
from project import load, parse, rendered

PRODUCTION = rendered("production")


def first(documents, kind, name=None):
    """The first document of a kind, and of a name if one is given."""
    found = [each for each in documents if each["kind"] == kind and name in (None, each["metadata"]["name"])]
    return found[0]


def pod(documents, name):
    """The pod of a Deployment."""
    return first(documents, "Deployment", name)["spec"]["template"]["spec"]


class Planted(unittest.TestCase):
    """A copy of the rendered production overlay, to plant a fault in."""

    def setUp(self):
        self.documents = copy.deepcopy(PRODUCTION)

    def finds(self, part):
        """Some fault says this."""
        faults = manifests.faults_of(self.documents)
        self.assertTrue(any(part in fault for fault in faults), faults)


class Manifests(Planted):
    """Faults planted in how the parts fit."""

    def test_the_overlay_as_it_is_has_no_fault(self):
        self.assertEqual(manifests.faults_of(self.documents), [])

    def test_a_selector_that_takes_no_pod(self):
        first(self.documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]["app"] = "other"
        self.finds("takes no pod")

    def test_a_policy_that_takes_no_pod(self):
        policy = first(self.documents, "NetworkPolicy", "io")
        policy["spec"]["podSelector"]["matchExpressions"][0]["values"] = ["dispacher"]
        self.finds("NetworkPolicy io: its selector takes no pod")

    def test_a_secret_that_nobody_gives(self):
        volumes = pod(self.documents, "renderer")["volumes"]
        next(each for each in volumes if each["name"] == "io-keys")["secret"]["secretName"] = "other"
        self.finds("nobody gives the Secret other")

    def test_a_catalogue_file_that_is_not_in_its_map(self):
        volumes = pod(self.documents, "renderer")["volumes"]
        catalogue = next(each for each in volumes if each["name"] == "catalogue")
        catalogue["projected"]["sources"][0]["configMap"]["items"][0]["key"] = "other.toml"
        self.finds("has no other.toml")

    def test_a_writable_root(self):
        del pod(self.documents, "scheduler")["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
        self.finds("readOnlyRootFilesystem")

    def test_privilege_escalation(self):
        pod(self.documents, "scheduler")["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
        self.finds("allowPrivilegeEscalation")

    def test_a_grace_as_short_as_the_services_own(self):
        pod(self.documents, "dispatcher")["terminationGracePeriodSeconds"] = 25
        self.finds("grace above")

    def test_replicas_beside_an_autoscaler(self):
        first(self.documents, "Deployment", "dispatcher")["spec"]["replicas"] = 2
        self.finds("states its replicas too")

    def test_ready_messages_alone(self):
        scaler = first(self.documents, "ScaledObject", "dispatcher")
        scaler["spec"]["triggers"][0]["metadata"]["excludeUnacknowledged"] = "true"
        self.finds("without the unacknowledged")

    def test_a_queue_that_is_not_there(self):
        scaler = first(self.documents, "ScaledObject", "renderer")
        scaler["spec"]["triggers"][0]["metadata"]["queueName"] = "promemoria.renderer"
        self.finds("no queue promemoria.renderer")

    def test_two_autoscalers_of_one_deployment(self):
        self.documents.append(copy.deepcopy(first(self.documents, "ScaledObject", "renderer")))
        self.finds("a second autoscaler")

    def test_a_secret_in_the_environment(self):
        given = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "promemoria", "key": "k"}}}
        pod(self.documents, "renderer")["containers"][0].setdefault("env", []).append(given)
        self.finds("no secret in the environment")

    def test_a_tag_without_its_label(self):
        container = pod(self.documents, "operator")["containers"][0]
        container["image"] = container["image"].replace("0.1.0", "0.2.0")
        self.finds("Deployment operator: the label of the version is 0.1.0, the image's tag 0.2.0")

    def test_the_backlog_of_another_namespace(self):
        scaler = first(self.documents, "ScaledObject", "scheduler")
        scaler["spec"]["triggers"][0]["metadata"]["query"] = "max(fleet:promemoria_schedule_due:bounded)"
        self.finds("the query is not of")

    def test_something_outside_the_namespace(self):
        first(self.documents, "PodMonitor")["metadata"]["namespace"] = "default"
        self.finds("outside")


class Compose(unittest.TestCase):
    """Faults planted in the Compose file and what its Prometheus scrapes."""

    def setUp(self):
        self.services = copy.deepcopy(load(compose.FILE)["services"])
        self.wanted = compose.jobs("deploy/prometheus/prometheus.yml")
        self.there = compose.jobs("deploy/compose/prometheus.yml")

    def finds(self, part, faults):
        """Some fault says this."""
        found = list(faults)
        self.assertTrue(any(part in fault for fault in found), found)

    def test_images_that_change_by_themselves_or_refuse(self):
        self.assertEqual(list(compose.image_faults(self.services)), [])
        self.services["rabbitmq"]["image"] = "${RABBITMQ_IMAGE:-rabbitmq:4.2.6-management}"
        self.services["redis"]["image"] = "${REDIS_IMAGE:-redis:8.2}"
        self.finds("4.2.6 refuses", compose.image_faults(self.services))
        self.finds("8.2 has no whole", compose.image_faults(self.services))

    def test_a_job_that_is_missing_or_asks_otherwise_and_a_target_that_is_not_there(self):
        self.assertEqual(list(compose.scrape_faults(self.services, self.wanted, self.there)), [])
        del self.there["redis"]
        del self.there["rabbitmq-queues"]["params"]
        del self.services["scheduler"]
        faults = list(compose.scrape_faults(self.services, self.wanted, self.there))
        for part in ("no job redis", "params of rabbitmq-queues", "scrapes scheduler"):
            self.finds(part, faults)


class Schemas(unittest.TestCase):
    """Faults planted in the operators' kinds."""

    def finds(self, kind, part, plant):
        """A planted fault of a kind is found."""
        document = copy.deepcopy(first(rendered("production"), kind))
        self.assertEqual(schemas.faults_of(document, schemas.own()), [])
        plant(document["spec"])
        faults = schemas.faults_of(document, schemas.own())
        self.assertTrue(any(part in fault for fault in faults), faults)

    def test_an_unknown_field(self):
        self.finds("ScaledObject", "minReplicas", lambda spec: spec.update(minReplicas=2))

    def test_a_wrong_type(self):
        self.finds("ScaledObject", "integer", lambda spec: spec.update(maxReplicaCount="4"))

    def test_a_number_where_keda_wants_text(self):
        self.finds("ScaledObject", "string", lambda spec: spec["triggers"][0]["metadata"].update(value=5))

    def test_a_misspelt_field_of_an_endpoint(self):
        self.finds("PodMonitor", "targetport", lambda spec: spec["podMetricsEndpoints"][0].update(targetport=1))

    def test_a_misspelt_field_of_a_rule(self):
        self.finds("PrometheusRule", "labls", lambda spec: spec["groups"][0]["rules"][0].update(labls={}))

    def test_a_kind_that_nobody_knows(self):
        stranger = parse("{apiVersion: example.it/v1, kind: Thing, metadata: {name: a}}")[0]
        self.assertIn("no schema", schemas.faults_of(stranger, schemas.own())[0])


class Expressions(unittest.TestCase):
    """Faults planted in expressions."""

    def finds(self, part, expression):
        """A planted fault is found."""
        faults = expressions.faults_of(expression, expressions.known())
        self.assertTrue(any(part in fault for fault in faults), faults)

    def test_a_good_one(self):
        good = "sum by (ente, le) (rate(promemoria_sent_lag_seconds_bucket[$__rate_interval])) > 0"
        self.assertEqual(expressions.faults_of(good, expressions.known()), [])

    def test_a_metric_that_nobody_exports(self):
        self.finds("promemoria_sent", "rate(promemoria_sent_total[5m])")

    def test_a_label_that_a_metric_has_not(self):
        self.finds("no label messagio", 'promemoria_messages_total{messagio="x"}')

    def test_a_label_grouped_by_that_no_metric_has(self):
        self.finds("groups by tipo", "sum by (tipo) (promemoria_in_doubt)")

    def test_a_metric_deep_within(self):
        self.finds("nobody", "max(abs(clamp_min(absent(nobody == 1) or vector(0), 1)))")

    def test_rules_that_mix_the_fleets_of_several_namespaces(self):
        for expression, part in (
            ("sum(promemoria_in_doubt)", "sum without"),
            ("max by (ente) (promemoria_in_doubt)", "(ente) mixes"),
            ("promemoria_in_doubt and on (ente) up", "(ente) mixes"),
            ("absent(up == 1)", "absent"),
        ):
            self.assertTrue(any(part in fault for fault in expressions.mixing(expression)), expression)
        self.assertEqual(expressions.mixing("sum by (namespace, ente) (promemoria_in_doubt) > 0"), [])

    def test_what_does_not_parse(self):
        self.finds("parse", "sum by (ente (promemoria_in_doubt)")


class Alerts(unittest.TestCase):
    """Faults planted in alerts and dashboards."""

    def test_an_alert_without_runbook_and_test(self):
        rule = copy.deepcopy(alerts.alerts()[0])
        rule["alert"] = "NobodyTestedMe"
        faults = " ".join(alerts.faults_of(rule, *alerts.tested()))
        for part in ("no docs/runbooks/NobodyTestedMe.md", "sees it fire", "sees it quiet", "runbook_url"):
            self.assertIn(part, faults)

    def test_a_panel_without_unit_or_on_another(self):
        board = copy.deepcopy(load("deploy/grafana/fleet.json"))
        self.assertEqual(dashboards.faults_of(board), [])
        del board["panels"][0]["fieldConfig"]["defaults"]["unit"]
        board["panels"][1]["gridPos"]["x"] = 0
        board["panels"][2]["targets"][0]["expr"] = "max(promemoria_in_doubt)"
        faults = " ".join(dashboards.faults_of(board))
        for part in ("no unit", "lies on", "every namespace"):
            self.assertIn(part, faults)

    def test_the_topology_has_every_queue_and_binding(self):
        given, made = load(generated.DEFINITIONS), generated.topology()
        queues = {each["spec"]["name"] for each in made if each["kind"] == "Queue"}
        self.assertEqual(queues, {queue["name"] for queue in given["queues"]})
        names = [(each["kind"], each["metadata"]["name"]) for each in made]
        self.assertEqual(len(names), len(set(names)), "two resources of one name")


if __name__ == "__main__":
    unittest.main()
