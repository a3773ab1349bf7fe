"""An agent with pydantic models: its payload and its result are checked, and a failure keeps its cause."""

import re
from decimal import Decimal

from pydantic import BaseModel, Field

import sutazai


class Invoice(BaseModel):
    number: str
    total: Decimal = Field(ge=0)


@sutazai.agent(max_attempts=1)
def read_invoice(text: str) -> Invoice:
    """Finds the number and the total of an invoice."""
    number, total = re.search(r"No\. (\S+)", text), re.search(r"Total: (\S+)", text)
    if number is None or total is None:
        raise sutazai.InvalidInputError("expected a number and a total", field="text")
    return Invoice(number=number[1], total=Decimal(total[1]))


@sutazai.agent
def add_up(texts: list[str]) -> Decimal:
    """Reads each invoice in a task of its own, and adds up their totals."""
    context = sutazai.current()
    if not context.children:
        context.wait_for(*(read_invoice.task(text) for text in texts))
    return sum((Decimal(child.result["total"]) for child in context.children), Decimal(0))


def main() -> None:
    with sutazai.Engine(":memory:", agents=[read_invoice, add_up]) as engine:
        invoice = engine.run(read_invoice.task("No. 7\nTotal: 1.50"))
        print(invoice.number, invoice.total)
        print(engine.run(add_up.task(["No. 1 Total: 2", "No. 2 Total: 0.25"])))
        try:
            engine.run(read_invoice.task("a letter"))
        except sutazai.TaskFailedError as e:
            print(e.error.kind, "-", e.error.message, "-", type(e.__cause__).__name__)


if __name__ == "__main__":
    main()
