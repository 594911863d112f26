"""Starts MiniStack with one fault mended.

MiniStack takes a table without a TableName for one that it named itself. An imported table has another name, so MiniStack
replaces it by an empty one when the stack is next deployed with other tags. On AWS a change of tags never replaces a table
(docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html: "Update requires: No
interruption").
"""
import sys

from ministack.app import main
from ministack.services.cloudformation import provisioners

handlers = provisioners._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
update = handlers["update"]


def in_place(physical_id, old, new, *more, **named):
    if "TableName" not in old and "TableName" not in new:
        old, new = ({**properties, "TableName": physical_id} for properties in (old, new))
    return update(physical_id, old, new, *more, **named)


handlers["update"] = in_place

if __name__ == "__main__":
    sys.exit(main())
