"""The clouds that a program may run in, as data: by which variables each tells of itself, and what they say.

The names of attributes and their values are those of OpenTelemetry's semantic conventions, where it has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..setting_values import TRUE

NAME, VERSION, INSTANCE = "service.name", "service.version", "service.instance.id"
#: The one whose program learns its service's name with a request.
DATABRICKS = "databricks-model-serving"


@dataclass(frozen=True, slots=True)
class Cloud:
    """One place that programs are deployed to.

    Attributes:
        name: How it is called here.
        marks: Variables one of which is set there, and nowhere else.
        attributes: What is always true of it.
        variables: Variables by attribute; of several the first that is set counts.
        is_switch: A mark must be true, not only set.
        unless: A variable that tells of a copy on a developer's machine, or of a cloud with better names.
    """

    name: str
    marks: tuple[str, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_switch: bool = False
    unless: str = ""

    def mark(self, environ: Mapping[str, str]) -> str | None:
        """The variable that tells that the program runs there; None where none does."""
        if environ.get(self.unless):
            return None
        for name in self.marks:
            value = environ.get(name, "").strip()
            if value and (not self.is_switch or value.lower() in TRUE):
                return name
        return None

    def said(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The attributes of a program that runs there."""
        found = dict(self.attributes)
        for attribute, names in self.variables.items():
            value = next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
            if value is not None:
                found[attribute] = value
        return found


_AWS, _AZURE, _GOOGLE = {"cloud.provider": "aws"}, {"cloud.provider": "azure"}, {"cloud.provider": "gcp"}
_REGION = {"cloud.region": ("AWS_REGION", "AWS_DEFAULT_REGION")}
_KUBERNETES = "KUBERNETES_SERVICE_HOST"
_POD = ("POD_NAME", "K8S_POD_NAME", "HOSTNAME")

#: Each is production, whatever runs there.
CLOUDS = (
    Cloud(DATABRICKS, ("IS_IN_DB_MODEL_SERVING_ENV", "IS_IN_DATABRICKS_MODEL_SERVING_ENV"), is_switch=True),
    Cloud("databricks-apps", ("DATABRICKS_APP_NAME",), variables={NAME: ("DATABRICKS_APP_NAME",)}),
    Cloud(
        "lambda",
        ("AWS_LAMBDA_FUNCTION_NAME",),
        {**_AWS, "cloud.platform": "aws_lambda"},
        {
            NAME: ("AWS_LAMBDA_FUNCTION_NAME",),
            VERSION: ("AWS_LAMBDA_FUNCTION_VERSION",),
            "faas.name": ("AWS_LAMBDA_FUNCTION_NAME",),
            "faas.version": ("AWS_LAMBDA_FUNCTION_VERSION",),
            "faas.instance": ("AWS_LAMBDA_LOG_STREAM_NAME",),
            **_REGION,
        },
        unless="AWS_SAM_LOCAL",
    ),
    Cloud(
        "cloud-run",
        ("K_SERVICE", "CLOUD_RUN_JOB"),
        {**_GOOGLE, "cloud.platform": "gcp_cloud_run"},
        {
            NAME: ("K_SERVICE", "CLOUD_RUN_JOB"),
            VERSION: ("K_REVISION",),
            "faas.name": ("K_SERVICE", "CLOUD_RUN_JOB"),
            "faas.version": ("K_REVISION",),
            "gcp.cloud_run.job.execution": ("CLOUD_RUN_EXECUTION",),
        },
        unless=_KUBERNETES,  # Knative sets the same variables in a pod
    ),
    Cloud(
        "azure-container-apps",
        ("CONTAINER_APP_NAME",),
        {**_AZURE, "cloud.platform": "azure.container_apps"},
        {
            NAME: ("CONTAINER_APP_NAME",),
            VERSION: ("CONTAINER_APP_REVISION",),
            INSTANCE: ("CONTAINER_APP_REPLICA_NAME",),
        },
    ),
    Cloud(
        "azure-app-service",
        ("WEBSITE_INSTANCE_ID",),
        {**_AZURE, "cloud.platform": "azure.app_service"},
        {NAME: ("WEBSITE_SITE_NAME",), INSTANCE: ("WEBSITE_INSTANCE_ID",), "cloud.region": ("REGION_NAME",)},
    ),
    Cloud(
        "app-engine",
        ("GAE_SERVICE",),
        {**_GOOGLE, "cloud.platform": "gcp_app_engine"},
        {NAME: ("GAE_SERVICE",), VERSION: ("GAE_VERSION",), INSTANCE: ("GAE_INSTANCE",)},
    ),
    Cloud(
        "ecs",
        ("ECS_CONTAINER_METADATA_URI_V4", "ECS_CONTAINER_METADATA_URI"),
        {**_AWS, "cloud.platform": "aws_ecs"},
        _REGION,
    ),
    Cloud(
        "heroku",
        ("DYNO",),
        {"cloud.provider": "heroku"},
        {NAME: ("HEROKU_APP_NAME",), VERSION: ("HEROKU_RELEASE_VERSION",), INSTANCE: ("HEROKU_DYNO_ID", "DYNO")},
    ),
    Cloud(
        "render", ("RENDER",), {}, {NAME: ("RENDER_SERVICE_NAME",), INSTANCE: ("RENDER_INSTANCE_ID",)}, is_switch=True
    ),
    Cloud(
        "fly",
        ("FLY_APP_NAME",),
        {},
        {NAME: ("FLY_APP_NAME",), INSTANCE: ("FLY_MACHINE_ID",), "cloud.region": ("FLY_REGION",)},
    ),
)

#: A pod is production too, but what develops and tests runs in pods as well.
KUBERNETES = Cloud(
    "kubernetes",
    (_KUBERNETES,),
    variables={
        NAME: ("K_SERVICE",),
        VERSION: ("K_REVISION",),
        INSTANCE: _POD,
        "k8s.pod.name": _POD,
        "k8s.namespace.name": ("POD_NAMESPACE", "K8S_NAMESPACE"),
        "k8s.node.name": ("NODE_NAME", "K8S_NODE_NAME"),
    },
)
