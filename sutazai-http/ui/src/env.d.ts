declare module "virtual:icons" {
    type Shape = [tag: string, attributes: Record<string, string>];
    const icons: Record<string, Shape[]>;
    export default icons;
}
