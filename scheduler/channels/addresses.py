"""Email addresses as mail carries them."""

from email.errors import MessageError
from email.headerregistry import Address


def read_mailbox(mailbox: str) -> Address | None:
    """Return ``local@domain`` or ``Name <local@domain>`` as an address, or None where it is none.

    By hand, because people write a comma in a name without the quotes that the standard wants around it.
    """
    name, _, address = mailbox.rpartition("<")
    return make_address(address.removesuffix(">"), name.strip(' "'))


def make_address(mailbox: str, name: str = "") -> Address | None:
    """Return ``local@domain`` as an address, or None where it is none or plain SMTP cannot carry it."""
    try:
        address = Address(display_name=name, addr_spec=mailbox)
    # What the standard library's parser raises for nonsense, by its own mistakes as well.
    except (ValueError, IndexError, AttributeError, NameError, MessageError):
        return None
    return address if address.domain and mailbox.isascii() else None
