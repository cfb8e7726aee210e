"""The checks of what is given, of the manual and of settings: each must find a fault that is planted for it."""

import copy
import shutil
import tempfile
import unittest
from pathlib import Path

import generated
import manual
import overlay
import settings
import walk
from given import given
from project import ROOT, load
from selftest import Planted, first, pod

PRODUCTION = ROOT / "k8s/overlays/production"


class OperatorsPod(Planted):
    """Faults planted in the pod that the manual runs commands in."""

    def test_a_pod_with_another_users_secret(self):
        volumes = pod(self.documents, "operator")["volumes"]
        secrets = next(each for each in volumes if each["name"] == "secrets")["projected"]["sources"]
        secrets[0]["secret"]["name"] = "promemoria-scheduler"
        self.finds("deploy/operator: has not the operator's Secret")

    def test_no_way_to_io(self):
        selector = first(self.documents, "NetworkPolicy", "io")["spec"]["podSelector"]
        selector["matchExpressions"][0]["values"].remove("operator")
        self.finds("deploy/operator: has no way to IO")

    def test_no_way_to_redis(self):
        del first(self.documents, "NetworkPolicy", "fleet")["spec"]["egress"][2]
        self.finds("deploy/operator: has no way to Redis")

    def test_no_pod_at_all(self):
        self.documents.remove(first(self.documents, "Deployment", "operator"))
        self.finds("deploy/operator: is not there")

    def test_a_manual_that_names_a_service(self):
        faults = manual.unfit(self.documents, {"deploy/scheduler": "page.md"})
        self.assertTrue(any("has no way to IO" in fault for fault in faults), faults)

    def test_commands_are_found_on_one_line_or_two(self):
        for command in ("exec deploy/a -- promemoria doctor", "exec -i deploy/a -c service -- promemoria lint"):
            self.assertIn("deploy/a", manual.RUN.search(f"kubectl -n promemoria {command}")[1])
        self.assertEqual(set(manual.places()), {"deploy/operator"})


class Given(Planted):
    """Faults planted in Secrets that are given from outside."""

    def test_a_user_whose_secret_nobody_gives(self):
        user = first(self.documents, "User", "promemoria-renderer")
        user["spec"]["importCredentialsSecret"]["name"] = "rabbitmq-user-renderer"
        self.finds("User promemoria-renderer: nobody gives the Secret rabbitmq-user-renderer")

    def test_a_user_without_a_secret(self):
        del first(self.documents, "User", "borgochiaro-events")["spec"]["importCredentialsSecret"]
        self.finds("User borgochiaro-events: nobody gives")

    def test_a_key_that_the_secret_has_not(self):
        first(self.documents, "TriggerAuthentication")["spec"]["secretTargetRef"][1]["key"] = "user"
        self.finds("the Secret promemoria-keda has no user")

    def test_a_secret_that_the_manual_does_not_name(self):
        stranger = copy.deepcopy(first(self.documents, "ExternalSecret", "promemoria-keda"))
        stranger["spec"]["target"]["name"] = "counts"
        self.documents.append(stranger)
        for target in first(self.documents, "TriggerAuthentication")["spec"]["secretTargetRef"]:
            target["name"] = "counts"
        self.finds("does not name the Secret counts")

    def test_every_user_of_the_definitions_is_made(self):
        users = {each["name"] for each in load(generated.DEFINITIONS)["users"]}
        made = {each["spec"]["user"] for each in generated.topology() if each["kind"] == "Permission"}
        self.assertEqual(made, users)
        keda = next(each for each in generated.topology() if each["metadata"]["name"] == "promemoria-keda")
        self.assertEqual(keda["spec"]["tags"], ["monitoring"])


class Overlay(Planted):
    """Faults planted in an overlay's own files."""

    def test_a_key_of_io_in_an_entes_file(self):
        data = first(self.documents, "ConfigMap", "promemoria-enti")["data"]
        data["borgochiaro.toml"] = data["borgochiaro.toml"].replace("chiave_file", "chiave", 1)
        self.finds("servizi.permesso-soggiorno.chiave: belongs into a Secret")

    def test_a_file_that_nothing_uses(self):
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(shutil.copytree(PRODUCTION, Path(folder) / "production"))
            self.assertEqual(overlay.unused_files(copied), [])
            shutil.copy(copied / "enti/borgochiaro.toml", copied / "enti/roccamarina.toml")
            self.assertEqual(overlay.unused_files(copied), ["enti/roccamarina.toml: nothing uses it"])


class Walk(unittest.TestCase):
    """Faults planted in the manual's own steps."""

    COMMANDS = walk.block("sh", "umask 077\nmkdir")
    PATCHES = walk.block("yaml", "name: rabbitmq-counts")

    def test_a_secret_that_is_not_made(self):
        self.assertEqual(walk.unmade(self.COMMANDS), [])
        commands = self.COMMANDS.replace("in scheduler renderer dispatcher operator; do", "in scheduler; do")
        self.assertIn("by hand nobody makes promemoria-operator", walk.unmade(commands))

    def test_a_key_of_another_name(self):
        faults = walk.unmade(self.COMMANDS.replace("amqp-url=<", "amqp_url=<"))
        self.assertTrue(any("promemoria-scheduler: by hand ['amqp_url'" in fault for fault in faults), faults)

    def test_a_password_with_its_line_end(self):
        stripped, as_it_is = "<(tr -d '\\n' <secrets/promemoria-keda)", "secrets/promemoria-keda"
        faults = walk.unmade(self.COMMANDS.replace(stripped, as_it_is))
        self.assertIn("promemoria-keda: password ends with a line end, which RabbitMQ takes for a part of it", faults)

    def test_a_patch_for_nothing(self):
        faults = walk.unfit_patches(self.PATCHES.replace("NetworkPolicy, name: fleet", "NetworkPolicy, name: fleets"))
        self.assertTrue(any("fleets" in fault for fault in faults), faults)

    def test_a_patch_that_takes_the_way_to_redis(self):
        replaced, removed = (f"op: {word}\n        path: /spec/egress/2" for word in ("replace", "remove"))
        taken = self.PATCHES.replace(f"{replaced}/to", removed)
        faults = walk.unfit_patches(taken)
        self.assertTrue(any("has no way to Redis" in fault for fault in faults), faults)


class Settings(Planted):
    """Faults planted in the settings that pods are given; the program finds them."""

    def finds(self, part):
        faults = settings.faults_of(self.documents)
        self.assertTrue(any(part in fault for fault in faults), faults)

    def fleet(self):
        """The data of the ConfigMap of settings, whatever its hash."""
        volumes = pod(self.documents, "renderer")["volumes"]
        settings_map = next(each for each in volumes if each["name"] == "settings")["configMap"]["name"]
        return first(self.documents, "ConfigMap", settings_map)["data"]

    def test_the_overlay_as_it_is_has_no_fault(self):
        self.assertEqual(settings.faults_of(self.documents), [])

    def test_a_key_that_nobody_knows(self):
        self.fleet()["fleet.toml"] += "\n[privcy]\n"
        self.finds("privcy: unknown key")

    def test_a_file_that_no_secret_brings(self):
        self.fleet()["fleet.toml"] = self.fleet()["fleet.toml"].replace("redis-url", "redis_url")
        self.finds("Deployment scheduler: /etc/promemoria/settings/fleet.toml: redis.url_file")

    def test_a_variable_that_nobody_knows(self):
        env = pod(self.documents, "operator")["containers"][0]["env"]
        env.append({"name": "PROMEMORIA__AMPQ__DECLARE", "value": "false"})
        self.finds("Deployment operator: environment: ampq: unknown key")

    def test_a_misspelt_choice_of_an_ente(self):
        data = first(self.documents, "ConfigMap", "promemoria-enti")["data"]
        data["borgochiaro.toml"] = data["borgochiaro.toml"].replace("giorni_prima", "giorni_primi", 1)
        self.finds("giorni_primi")

    def test_a_key_file_in_a_folder_that_is_not_mounted(self):
        data = first(self.documents, "ConfigMap", "promemoria-enti")["data"]
        data["borgochiaro.toml"] = data["borgochiaro.toml"].replace("/run/secrets/io/", "/run/secrets/keys/", 1)
        self.finds("borgochiaro.toml")

    def test_a_file_of_the_catalogue_in_another_place(self):
        volumes = pod(self.documents, "renderer")["volumes"]
        catalogue = next(each for each in volumes if each["name"] == "catalogue")["projected"]["sources"]
        item = next(each for each in catalogue[1]["configMap"]["items"] if each["path"].endswith("servizio.toml"))
        item["path"] = item["path"].replace("servizio.toml", "service.toml")
        self.finds("Deployment renderer: /etc/promemoria/catalogue")


class Example(unittest.TestCase):
    """The example with External Secrets."""

    def test_it_gives_every_service_its_own(self):
        for name in ("scheduler", "renderer", "dispatcher", "operator"):
            self.assertEqual(given()[f"promemoria-{name}"], ["amqp-url", "redis-url"])


if __name__ == "__main__":
    unittest.main()
