"""What may be asked of an investment: an offer with how customers respond to it, a subsidy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.domain.investment import Bargain, Response

_LARGEST = 1e9


class InvestmentQuery(BaseModel):
    """Parameters of a request; what is left out is not weighed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    ceiling: float | None = Field(
        None, gt=0, le=1, description="Share of leavers that the largest offer keeps"
    )
    scale: float | None = Field(
        None, ge=1e-6, le=_LARGEST, description="The offer that keeps 63% of these"
    )
    acceptance: float = Field(1.0, gt=0.001, le=1, description="Share that accepts an offer")
    contact: float = Field(0.0, ge=0, le=_LARGEST, description="What a contact costs")
    offer: float | None = Field(None, ge=0, le=_LARGEST, description="An offer beside the best")
    subsidy: float | None = Field(None, ge=0, le=_LARGEST, description="Of a device, paid today")
    term_days: int | None = Field(None, ge=1, le=3650, description="Bound by it for so long")
    added_margin: float = Field(
        0.0, ge=-_LARGEST, le=_LARGEST, description="Added by its contract, a year"
    )

    @model_validator(mode="after")
    def _go_together(self) -> InvestmentQuery:
        if (self.ceiling is None) != (self.scale is None):
            raise ValueError("ceiling and scale need each other")
        if self.offer is not None and self.ceiling is None:
            raise ValueError("offer needs ceiling and scale")
        if (self.subsidy is None) != (self.term_days is None):
            raise ValueError("subsidy and term_days need each other")
        return self

    def response(self) -> Response | None:
        """Return how customers respond to offers, if that was said."""
        if self.ceiling is None or self.scale is None:
            return None
        return Response(self.ceiling, self.scale, self.acceptance, self.contact)

    def bargain(self) -> Bargain | None:
        """Return the subsidised device, if there is one."""
        if self.subsidy is None or self.term_days is None:
            return None
        return Bargain(self.subsidy, self.term_days, self.added_margin)
