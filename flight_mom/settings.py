"""Settings of the MoM: those of every server, and what only the MoM has."""

from typing import Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from flight_member.settings import ServerSettings


class MomSettings(ServerSettings):
    """The settings of the Master of Masters."""

    model_config = SettingsConfigDict(env_prefix="FLIGHT_MOM_")

    role: Literal["mom"] = Field(default="mom", description="what this cluster is")
